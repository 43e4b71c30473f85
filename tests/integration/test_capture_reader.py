"""The exact reader against a real server: everything committed, once, in order."""

from __future__ import annotations

import json

from relay.capture import queries
from relay.capture.batch import Batch
from relay.errors import DatabaseError
from tests.support.capture import capturing, make_table
from tests.support.database import Database
from tests.support.waiting import eventually

A, B = "public.a", "public.b"


async def test_ids_given_out_before_commit_are_not_skipped(database: Database) -> None:
    """A row whose id is lower than one already read comes when its transaction commits, and nothing comes twice."""
    await make_table(database, "a")
    early = await database.connect(autocommit=False)
    async with capturing(database.daemon_dsn, A) as seen:
        await early.execute("INSERT INTO a (v) VALUES ('early')")
        await database.execute("INSERT INTO a (v) VALUES ('late')")
        await eventually(lambda: seen.values(A) == ["late"])
        await early.commit()
        await eventually(lambda: seen.values(A) == ["late", "early"])
        assert seen.ids == [2, 1]


async def test_what_is_rolled_back_never_comes(database: Database) -> None:
    """Neither a rolled-back transaction nor a rolled-back savepoint leaves a change."""
    await make_table(database, "a")
    writer = await database.connect(autocommit=False)
    async with capturing(database.daemon_dsn, A) as seen:
        await writer.execute("INSERT INTO a (v) VALUES ('gone')")
        await writer.rollback()
        await writer.execute("INSERT INTO a (v) VALUES ('kept')")
        await writer.execute("SAVEPOINT s")
        await writer.execute("INSERT INTO a (v) VALUES ('gone too')")
        await writer.execute("ROLLBACK TO s")
        await writer.commit()
        await database.execute("INSERT INTO a (v) VALUES ('last')")
        await eventually(lambda: seen.values(A) == ["kept", "last"])


async def test_an_open_transaction_delays_only_its_own_rows(database: Database) -> None:
    """While one transaction stays open everybody else's changes go on; its own come when it ends."""
    await make_table(database, "a")
    slow = await database.connect(autocommit=False)
    async with capturing(database.daemon_dsn, A) as seen:
        await slow.execute("INSERT INTO a (v) SELECT 'slow' FROM generate_series(1, 20)")
        for number in range(20):
            await database.execute("INSERT INTO a (v) VALUES (%s)", str(number))
        await eventually(lambda: seen.values(A) == [str(number) for number in range(20)])
        cursor = seen.cursor
        assert not cursor.snapshot.sees(min(cursor.snapshot.xip))
        await slow.commit()
        await eventually(lambda: seen.values(A)[20:] == ["slow"] * 20)


async def test_an_open_transaction_is_not_scanned_again_at_every_poll(database: Database) -> None:
    """What a poll reads does not depend on how many rows an open transaction has written."""
    await make_table(database, "a")
    slow = await database.connect(autocommit=False)

    async def cost() -> int:
        await seen.capture.poll_now()
        state = seen.capture._periods.position
        assert state is not None
        params = {
            "xmax": str(state.prev.xmax),
            "xip": [str(xid) for xid in state.prev.xip],
            "lagging": [],
            "limit": 1001,
        }
        reader = await database.connect()
        await reader.execute("SET enable_seqscan = off")
        plan = await reader.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + queries.POLL, params)
        ((document,),) = await plan.fetchall()
        top = (document if isinstance(document, list) else json.loads(document))[0]["Plan"]
        return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])

    async with capturing(database.daemon_dsn, A) as seen:
        await slow.execute("INSERT INTO a (v) VALUES ('begun')")
        before = await cost()
        await slow.execute("INSERT INTO a (v) SELECT 'more' FROM generate_series(1, 20000)")
        # The youngest transaction of all: its id is not below any snapshot's end yet.
        assert await cost() <= before + 20
        await database.execute("INSERT INTO a (v) VALUES ('other')")
        await eventually(lambda: seen.values(A) == ["other"])
        assert await cost() <= before + 20
        await slow.rollback()


async def test_a_batch_that_could_not_be_handed_on_is_repeated(database: Database) -> None:
    """When the sink fails for the database's sake, the same changes come again after the reconnect, none is lost."""
    await make_table(database, "a")
    failures = 0

    def fail(batch: Batch) -> None:
        nonlocal failures
        if batch.changes and failures < 2:
            failures += 1
            raise DatabaseError("a look-up failed")

    async with capturing(database.daemon_dsn, A, capture={"backoff_initial_ms": 1}) as seen:
        seen.on_batch = fail
        await database.execute("INSERT INTO a (v) VALUES ('x')")
        await eventually(lambda: seen.values(A) == ["x"])
        assert failures == 2
        assert [status.ok for status in seen.statuses] == [True, False, True]
        assert seen.gaps == []


async def test_an_unreadable_row_is_isolated(database: Database) -> None:
    """A row that makes no sense is counted and its source told; what came with it and after it goes on."""
    await make_table(database, "a")
    await make_table(database, "b")
    async with capturing(database.daemon_dsn, A, B) as seen:
        writer = await database.connect(autocommit=False)
        for op, at, new in (
            ("explode", "now", '{"id": 1}'),
            ("insert", "infinity", '{"id": 1}'),
            ("insert", "now", "[1]"),
            ("insert", "now", "1e400"),
        ):
            await writer.execute(
                "INSERT INTO relay.event (source, op, at, key, new) VALUES (%s, %s, %s, '{}', %s)",
                (A, op, at, new),
            )
        await writer.execute("INSERT INTO a (v) VALUES ('good')")
        await writer.execute("INSERT INTO b (v) VALUES ('good')")
        await writer.commit()
        await eventually(lambda: seen.values(A) == seen.values(B) == ["good"])
        assert seen.capture.stats.bad_rows == 4
        (gap,) = [batch.gap for batch in seen.batches if batch.gap]
        assert (gap.sources, gap.reason) == (frozenset({A}), "unreadable_row")
        assert seen.capture.stats.reconnects == 0


async def test_a_sequence_that_fell_behind_hides_nothing(database: Database) -> None:
    """Ids that begin again lower are read like any others: what counts is the transaction."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A) as seen:
        await database.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(1, 20) AS n")
        await seen.caught_up(database)
        await database.execute("SELECT setval(pg_get_serial_sequence('relay.event', 'id'), 1, false)")
        cursor = seen.cursor
        await database.execute("INSERT INTO a (v) VALUES ('again')")
        await eventually(lambda: seen.values(A)[20:] == ["again"])
        assert [change.id for change in (await seen.capture.resume(cursor)).changes] == [1]
        assert seen.cursor.witness is not None
        assert seen.cursor.witness.id == 1
