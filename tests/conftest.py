"""Fixtures that every test may use: a Postgres server and databases on it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from relay.demo.postgres import Postgres
from tests.support.database import Database, create_database, install, new_database
from tests.support.server import Server, private_server, session_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server that all tests share; RELAY_TEST_POSTGRES chooses it."""
    with session_server() as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: Server) -> str:
    """The name of a database in which everything is installed, to be cloned."""

    async def prepare() -> str:
        database = await create_database(postgres)
        await install(database)
        await database.close()  # a template that somebody is connected to cannot be cloned
        return database.name

    return asyncio.run(prepare())


@pytest.fixture
async def database(postgres: Server, template: str) -> AsyncIterator[Database]:
    """A fresh database with schema relay and watched sample payment tables."""
    async with new_database(postgres, template) as database:
        yield database


@pytest.fixture
async def bare_database(postgres: Server) -> AsyncIterator[Database]:
    """A fresh database with nothing in it."""
    async with new_database(postgres) as database:
        yield database


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server for one test alone, which may crash and restart it."""
    with private_server() as server:
        yield server
