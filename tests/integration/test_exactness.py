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
    """A server that may be killed. Deadlocks are part of the storm, and should not take a second each.

    What nobody waits for stays in memory, so that a crash has something to take.
    """
    settings = {"deadlock_timeout": "50ms", "max_wal_size": "4GB", "wal_writer_delay": "10s"}
    with private_server(settings) as server:
        yield server


@pytest.mark.parametrize("relays", [1, 2, 3])
async def test_what_is_committed_is_what_is_delivered(relays: int, server: Postgres, tmp_path: Path) -> None:
    """Every subscriber gets every committed event it is entitled to once, row by row in order, and no other."""
    outcome = await storm(Plan.drawn(seed_of_this_run(), relays, seconds=12), server, tmp_path)
    assert not outcome.report, outcome.report


async def test_nobody_is_told_what_postgres_may_forget(server: Postgres, tmp_path: Path) -> None:
    """Where crashes take commits along (synchronous_commit = off), nobody was told of one, and nobody starts over."""
    plan = Plan.drawn(seed_of_this_run(), 2, seconds=12, crash_every=4, forgetful=True)
    outcome = await storm(plan, server, tmp_path)
    assert not outcome.report, outcome.report


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("relays", "events", "forgetful"),
    [(1, 30_000, False), (2, 30_000, False), (3, 100_000, False), (2, 30_000, True)],
)
async def test_it_stays_so_for_long(
    relays: int, events: int, forgetful: bool, server: Postgres, tmp_path: Path
) -> None:
    """So it is for 100,000 events and more, with many crashes; also where those take commits along."""
    plan = Plan.drawn(
        seed_of_this_run(), relays, seconds=1200, events=events, writers=10,
        crash_every=5 if forgetful else 15, forgetful=forgetful,
    )  # fmt: skip
    outcome = await storm(plan, server, tmp_path)
    assert not outcome.report, outcome.report
    # What a crash took back was counted as written, too.
    assert outcome.events >= (events // 2 if forgetful else events)
