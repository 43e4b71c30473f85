"""Nothing is lost, nothing is invented, nothing repeats, whatever happens to Postgres, relays, networks and clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.demo.postgres import Postgres
from tests.support.chaos.plan import Plan, seed_of_this_run
from tests.support.chaos.storm import storm
from tests.support.server import private_server


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server that may be killed. Deadlocks are part of the storm, and should not take a second each."""
    with private_server({"deadlock_timeout": "50ms", "max_wal_size": "4GB"}) as server:
        yield server


@pytest.mark.parametrize("relays", [1, 2, 3])
async def test_what_is_committed_is_what_is_delivered(relays: int, server: Postgres, tmp_path: Path) -> None:
    """Every subscriber gets every committed event it is entitled to once, row by row in order, and no other."""
    outcome = await storm(Plan.drawn(seed_of_this_run(), relays, seconds=12), server, tmp_path)
    assert not outcome.report, outcome.report
