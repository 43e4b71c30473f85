"""Fixtures of the SQL tests: a database that has schema relay and one payment table, and nothing else."""

from collections.abc import AsyncIterator

import pytest

from tests.sql.helpers import PAYMENT, apply_files
from tests.support.database import Database


@pytest.fixture
async def relay_database(bare_database: Database) -> AsyncIterator[Database]:
    """Schema relay, as its files leave it, and an unwatched table ``public.payment``."""
    await apply_files(bare_database)
    await bare_database.execute(PAYMENT)
    yield bare_database
