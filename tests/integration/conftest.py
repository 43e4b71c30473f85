"""A relay on the test's own database."""

from collections.abc import AsyncIterator

import pytest

from tests.support.database import Database
from tests.support.relay import RunningRelay, running_relay, settings_for


@pytest.fixture
async def running(database: Database) -> AsyncIterator[RunningRelay]:
    """A relay with the demo's channels and policies, serving on a free port."""
    async with running_relay(settings_for(database.daemon_dsn)) as relay:
        yield relay
