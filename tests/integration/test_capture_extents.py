"""Finding out what a large commit is about costs the same however large it is, so that nobody waits for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from relay.capture import extents as extents_module
from relay.capture import queries
from relay.capture.extents import extents, steps
from relay.capture.session import Session
from relay.capture.snapshot import Snapshot
from relay.capture.state import interval
from tests.support.capture import make_table
from tests.support.database import Database

A, B = "public.a", "public.b"
MANY = "INSERT INTO a (v) SELECT n::text FROM generate_series(1, 20000) AS n"


async def reading(database: Database) -> Session:
    """A session with the settings of the one that polls."""
    return await Session.open(database.daemon_dsn, "read", connect_timeout=30, deadline=60)


async def present(session: Session) -> Snapshot:
    """The snapshot a poll would end with now."""
    return Snapshot.parse(await session.value("SELECT pg_current_snapshot()::text"))


async def pages(session: Session, query: str, params: Mapping[str, Any]) -> int:
    """How many pages ``query`` looks at."""
    document = await session.value("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + query, params)
    top = (document if isinstance(document, list) else json.loads(document))[0]["Plan"]
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])


async def test_what_a_large_commit_is_about_is_found_without_reading_it(database: Database) -> None:
    """Which tables a commit changed, and between which ids, costs no more for 20,000 rows than for one."""
    await make_table(database, "a")
    await make_table(database, "b")
    session = await reading(database)
    try:
        costs = []
        for statement in ("INSERT INTO a (v) VALUES ('one')", MANY):
            base = await present(session)
            writer = await database.connect(autocommit=False)
            await writer.execute("INSERT INTO b (v) VALUES ('first')")
            await writer.execute(statement)
            await writer.commit()
            now = await present(session)
            assert (await extents(session, base, now)).keys() == {A, B}
            costs.append(await pages(session, queries.EXTENTS, steps(base, now)))
        assert costs[1] <= costs[0] + 20
        # What would have to be read otherwise.
        assert await pages(session, queries.EXTENTS_BY_SCAN, interval(base, now)) > 5 * costs[1]
    finally:
        await session.close()


async def test_the_first_rows_of_a_large_commit_are_found_without_going_through_it(
    database: Database,
) -> None:
    """A poll that finds more than fits in a chunk has read a chunk and no more."""
    await make_table(database, "a")
    session = await reading(database)
    try:
        base = await present(session)
        params = {"xmax": str(base.xmax), "xip": [], "lagging": [], "limit": 11}
        await database.execute("INSERT INTO a (v) SELECT 'few' FROM generate_series(1, 50)")
        few = await pages(session, queries.POLL, params)
        await database.execute(MANY)
        assert await pages(session, queries.POLL, params) <= few + 20
    finally:
        await session.close()


async def test_a_snapshot_for_clients_does_not_read_the_outbox(database: Database) -> None:
    """The newest event that a snapshot goes with is found in the index, however many events are kept."""
    await make_table(database, "a")
    session = await reading(database)
    try:
        await database.execute("INSERT INTO a (v) VALUES ('one')")
        before = await pages(session, queries.PRESENT, {})
        await database.execute(MANY)
        assert await pages(session, queries.PRESENT, {}) <= before + 20
    finally:
        await session.close()


async def test_extents_are_those_of_the_rows_that_became_visible(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was running at the earlier snapshot and has ended is in; what is still running, was rolled back or came
    before is not; and going from pair to pair finds the same as reading everything.
    """
    await make_table(database, "a")
    await make_table(database, "b")
    session = await reading(database)
    try:
        await database.execute("INSERT INTO a (v) VALUES ('before')")
        early, open_, gone = [await database.connect(autocommit=False) for _ in range(3)]
        await early.execute("INSERT INTO b (v) VALUES ('early')")
        await open_.execute("INSERT INTO b (v) VALUES ('open')")
        await gone.execute("INSERT INTO b (v) VALUES ('gone')")
        base = await present(session)
        await database.execute("INSERT INTO a (v) SELECT 'some' FROM generate_series(1, 5)")
        await early.execute("INSERT INTO b (v) VALUES ('early too')")
        await early.commit()
        await gone.rollback()
        now = await present(session)
        await database.execute("INSERT INTO b (v) VALUES ('after')")
        walked = dict(await extents(session, base, now))
        assert walked == {A: (5, 9), B: (2, 10)}
        monkeypatch.setattr(extents_module, "PAIRS", 1)
        assert dict(await extents(session, base, now)) == walked
        await open_.rollback()
    finally:
        await session.close()
