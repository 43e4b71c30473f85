"""relay.prune: what it deletes, what it keeps, and that positions can still be judged by the horizon."""

import random

import pytest

from relay.capture.snapshot import Snapshot
from tests.sql.helpers import events, refused, watch
from tests.support.database import Database

AGE = "UPDATE relay.horizon SET taken_at = taken_at - interval '2 days'"


@pytest.fixture
async def watched(relay_database: Database) -> Database:
    """A database with a watched table."""
    await watch(relay_database, columns=["status"])
    return relay_database


async def prune(database: Database, keep: str = "0", batch: int = 10_000) -> int:
    """Call ``relay.prune``."""
    ((left,),) = await database.execute("SELECT relay.prune(%s, %s)", keep, batch)
    return int(left)


async def horizon(database: Database) -> Snapshot:
    """The stored horizon."""
    ((text,),) = await database.execute("SELECT horizon::text FROM relay.state")
    return Snapshot.parse(text)


async def test_prune_keeps_what_is_young(watched: Database) -> None:
    """Events younger than ``keep`` stay; those that a noted position of that age has seen go, but for its witness."""
    for _ in range(3):
        await watched.execute("INSERT INTO payment DEFAULT VALUES")
    assert await prune(watched, "1 day") == 0
    assert len(await events(watched)) == 3
    await watched.execute(AGE)
    for _ in range(2):
        await watched.execute("INSERT INTO payment DEFAULT VALUES")
    assert await prune(watched, "1 day") == 0
    assert await watched.execute("SELECT id FROM relay.event ORDER BY id") == [(3,), (4,), (5,)]


async def test_prune_works_in_batches(watched: Database) -> None:
    """Each call deletes at most a batch, oldest first, and answers how many are left to delete."""
    for _ in range(10):
        await watched.execute("INSERT INTO payment DEFAULT VALUES")
    assert [await prune(watched, batch=4) for _ in range(4)] == [5, 1, 0, 0]
    assert await watched.execute("SELECT id FROM relay.event") == [(10,)]


async def test_the_witness_goes_when_there_is_a_newer_one(watched: Database) -> None:
    """The newest event that the horizon sees stays, and no more than that one."""
    for number in range(1, 4):
        await watched.execute("INSERT INTO payment DEFAULT VALUES")
        assert await prune(watched) == 0
        assert await watched.execute("SELECT id FROM relay.event") == [(number,)]
        assert await watched.execute("SELECT horizon_witness FROM relay.state") == [(number,)]


async def test_what_is_not_committed_is_not_pruned(watched: Database) -> None:
    """Events of a transaction that ran while the position was noted stay; younger ones of others go."""
    writer = await watched.connect()
    await writer.execute("BEGIN; INSERT INTO payment DEFAULT VALUES")
    await watched.execute("INSERT INTO payment DEFAULT VALUES")
    await watched.execute("INSERT INTO payment DEFAULT VALUES")
    await prune(watched, "1 day")
    await writer.execute("COMMIT")
    await watched.execute(AGE)
    assert await prune(watched, "1 day") == 0
    assert await watched.execute("SELECT id FROM relay.event ORDER BY id") == [(1,), (3,)]
    ((xid,),) = await watched.execute("SELECT xid::text::bigint FROM relay.event WHERE id = 1")
    assert not (await horizon(watched)).sees(xid)


async def test_the_horizon_is_clamped(watched: Database) -> None:
    """The horizon claims no transaction id beyond the newest event: a crash may give those out a second time."""
    await watched.execute("INSERT INTO payment DEFAULT VALUES")
    ((newest,),) = await watched.execute("SELECT xid::text::bigint FROM relay.event")
    for _ in range(3):
        await watched.execute("SELECT pg_current_xact_id()")
    await prune(watched)
    assert (await horizon(watched)).xmax == newest + 1


async def test_a_prune_within_a_larger_transaction(watched: Database) -> None:
    """What the calling transaction itself has written is neither pruned nor claimed as seen."""
    await watched.execute("INSERT INTO payment DEFAULT VALUES")
    caller = await watched.connect()
    await caller.execute("BEGIN; INSERT INTO payment DEFAULT VALUES")
    await watched.execute("INSERT INTO payment DEFAULT VALUES")
    await caller.execute("SELECT relay.prune('0'); COMMIT")
    assert await watched.execute("SELECT id FROM relay.event ORDER BY id") == [(2,), (3,)]
    ((xid,),) = await watched.execute("SELECT xid::text::bigint FROM relay.event WHERE id = 2")
    assert not (await horizon(watched)).sees(xid)


async def test_two_prunes_do_not_wait_for_each_other(watched: Database) -> None:
    """A prune that finds another at work answers what is left and goes."""
    for _ in range(3):
        await watched.execute("INSERT INTO payment DEFAULT VALUES")
    other = await watched.connect()
    await other.execute("BEGIN; SELECT relay.prune('0', 1)")
    await watched.execute("SET lock_timeout = '1ms'")
    assert await prune(watched) == 0
    await other.execute("COMMIT")
    assert await prune(watched, "1 day", 1) == 0
    assert await watched.execute("SELECT id FROM relay.event") == [(3,)]


async def test_prune_refuses_nonsense(watched: Database) -> None:
    """A negative or missing age is refused, and so is a serializable transaction, which could fail a payment."""
    await refused(watched, "SELECT relay.prune('-1 day')", message="cannot keep", hint="24 hours")
    await refused(watched, "SELECT relay.prune(NULL)", message="cannot keep", hint="24 hours")
    await watched.execute("SET default_transaction_isolation = 'serializable'")
    await refused(watched, "SELECT relay.prune('0')", message="serializable", hint="read committed")
    await refused(watched, "SELECT relay.reset()", message="serializable", hint="read committed")


async def test_old_drift_marks_are_pruned(watched: Database) -> None:
    """Marks of images that could not be built go with the events of their time."""
    await watched.execute("INSERT INTO relay.drift_mark VALUES ('a', 'b', now() - interval '2 days')")
    await watched.execute("INSERT INTO relay.drift_mark (source, reason) VALUES ('a', 'c')")
    await prune(watched, "1 day")
    assert await watched.execute("SELECT reason FROM relay.drift_mark") == [("c",)]


async def test_a_position_that_covers_the_horizon_misses_nothing(watched: Database) -> None:
    """However transactions overlap: if a position has seen the horizon, all that it lacks is there."""
    chance = random.Random(20)
    writers = [await watched.connect() for _ in range(5)]
    busy: set[int] = set()
    positions: list[tuple[Snapshot, int | None]] = []
    committed: dict[int, int] = {}
    good = bad = 0
    for _ in range(300):
        number = chance.randrange(len(writers))
        writer = writers[number]
        if number not in busy:
            await writer.execute("BEGIN; INSERT INTO payment DEFAULT VALUES")
            busy.add(number)
        elif chance.random() < 0.3:
            await writer.execute("INSERT INTO payment DEFAULT VALUES")
        else:
            await writer.execute(chance.choice(["COMMIT", "COMMIT", "ROLLBACK"]))
            busy.remove(number)
        committed.update(await watched.execute("SELECT id, xid::text::bigint FROM relay.event"))
        if chance.random() < 0.3:
            ((text, witness),) = await watched.execute("SELECT snapshot::text, witness FROM relay.position()")
            positions.append((Snapshot.parse(text), witness))
        if chance.random() < 0.2:
            await prune(watched, batch=chance.choice([1, 3, 100]))
            left = {row[0] for row in await watched.execute("SELECT id FROM relay.event")}
            limit = await horizon(watched)
            for position, witness in positions:
                if position.covers(limit):
                    good += 1
                    assert {id for id, xid in committed.items() if not position.sees(xid)} <= left
                    assert witness is None or witness in left
                else:
                    bad += 1
    assert good > 50
    assert bad > 50
