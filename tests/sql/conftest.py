"""Fixtures of the SQL tests: a database that has schema relay and one payment table, and nothing else."""

import pytest

from tests.sql.helpers import PAYMENT, apply_files
from tests.support.database import Database


@pytest.fixture
async def relay_database(bare_database: Database) -> Database:
    """Schema relay, as its files leave it, and an unwatched table ``public.payment``."""
    await apply_files(bare_database)
    await bare_database.execute(PAYMENT)
    return bare_database
