"""Fixtures of the SQL tests: a database that has schema relay and one payment table, and nothing else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.sql.helpers import PAYMENT, apply_files
from tests.support.database import Database, create_database, new_database
from tests.support.server import Server


@pytest.fixture(scope="session")
def relay_template(postgres: Server) -> str:
    """The name of a database with schema relay, as its files leave it, and an unwatched table ``public.payment``."""

    async def prepare() -> str:
        database = await create_database(postgres)
        await apply_files(database)
        await database.execute(PAYMENT)
        await database.close()  # a template that somebody is connected to cannot be cloned
        return database.name

    return asyncio.run(prepare())


@pytest.fixture
async def relay_database(postgres: Server, relay_template: str) -> AsyncIterator[Database]:
    """Schema relay and an unwatched table ``public.payment``."""
    async with new_database(postgres, relay_template) as database:
        yield database
