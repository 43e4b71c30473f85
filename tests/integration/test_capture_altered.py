"""Tables that were captured otherwise for a while: what went by unseen is told, by whoever is asked."""

from __future__ import annotations

from relay.capture.cursor import Cursor
from tests.support.capture import capturing, make_table
from tests.support.database import Database

A, B = "public.a", "public.b"


OFF_AND_ON = """
BEGIN; ALTER TABLE a DISABLE TRIGGER ALL; INSERT INTO a (v) VALUES ('unseen'); ALTER TABLE a ENABLE TRIGGER ALL; COMMIT
"""


async def test_a_trigger_that_was_off_is_told_once(database: Database) -> None:
    """A trigger switched off and on within one transaction is noticed at the next heartbeat, for its table alone."""
    await make_table(database, "a")
    await make_table(database, "b")
    async with capturing(database.daemon_dsn, A, B) as seen:
        await database.execute(OFF_AND_ON)
        await seen.capture.poll_now()
        await seen.capture.poll_now()
        (gap,) = [batch.gap for batch in seen.batches if batch.gap]
        assert (gap.sources, gap.reason) == (frozenset({A}), "capture_changed")
        assert [status.ok for status in seen.statuses] == [True]


async def test_a_trigger_that_stays_off_is_degraded(database: Database) -> None:
    """While a table is not captured whole the status says which and why; each change of that is a gap."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A) as seen:
        await database.execute("ALTER TABLE a DISABLE TRIGGER ALL")
        await seen.capture.poll_now()
        assert A in seen.statuses[-1].reason
        await database.execute("ALTER TABLE a ENABLE TRIGGER ALL")
        await seen.capture.poll_now()
        assert [status.ok for status in seen.statuses] == [True, False, True]
        assert seen.gaps == ["capture_changed"] * 2


async def test_a_trigger_that_was_off_while_no_relay_ran_is_noticed(database: Database) -> None:
    """A cursor remembers how tables were captured: one from before is told apart, on any relay, table by table."""
    await make_table(database, "a")
    await make_table(database, "b")
    async with capturing(database.daemon_dsn, A, B) as seen:
        cursor = seen.cursor
        assert seen.capture.broken(cursor) == frozenset()
    await database.execute(OFF_AND_ON)
    async with capturing(database.daemon_dsn, A, B) as seen:
        assert seen.capture.broken(cursor) == {A}
        assert (await seen.capture.resume(cursor)).broken == {A}
        assert seen.capture.broken(seen.cursor) == frozenset()


async def test_no_cursor_covers_what_an_altered_trigger_missed(database: Database) -> None:
    """The cursor of the heartbeat that notices a change is already one of the new way of capturing."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A) as seen:
        before = seen.cursor
        await database.execute(OFF_AND_ON)
        await seen.capture.poll_now()
        batch = next(batch for batch in seen.batches if batch.gap)
        assert seen.capture.broken(Cursor.decode(batch.cursor)) == frozenset()
        assert seen.capture.broken(before) == {A}
