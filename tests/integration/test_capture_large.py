"""Large commits: in pieces, in order, in bounded memory, and in nobody else's way."""

from __future__ import annotations

from relay.capture.batch import Batch
from tests.support.capture import capturing, make_table
from tests.support.database import Database
from tests.support.waiting import eventually

A, B = "public.a", "public.b"


async def test_a_large_commit_streams_in_pieces_and_in_order(database: Database) -> None:
    """A commit larger than a chunk comes once, in id order, in pieces no larger than a chunk; the last one joins."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture={"chunk_rows": 50}) as seen:
        await database.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(1, 1234) AS n")
        await seen.caught_up(database)
        assert seen.values(A) == [str(number) for number in range(1, 1235)]
        assert max(len(batch.changes) for batch in seen.batches) <= 50
        parts = [batch for batch in seen.batches if batch.snapshot is None]
        assert parts
        assert all(batch.cursor == "" and batch.lagging == {A} for batch in parts)
        await eventually(lambda: seen.batches[-1].snapshot is not None and not seen.batches[-1].lagging)
        assert seen.capture.stats.large_commits == 1


async def test_other_sources_do_not_wait_for_a_large_commit(database: Database) -> None:
    """While a large commit of one table streams, changes of another come, and positions say who lags."""
    await make_table(database, "a")
    await make_table(database, "b")

    async def feed(batch: Batch) -> None:
        if batch.snapshot is None:
            await database.execute("INSERT INTO b (v) VALUES ('between')")

    async with capturing(database.daemon_dsn, A, B, capture={"chunk_rows": 50}) as seen:
        seen.on_batch = feed
        await database.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(1, 1000) AS n")
        await seen.caught_up(database)
        last_of_a = max(index for index, change in enumerate(seen.changes) if change.source == A)
        before = [change for change in seen.changes[:last_of_a] if change.source == B]
        assert len(before) >= 5
        lagging = [batch for batch in seen.batches if batch.lagging and batch.snapshot]
        assert lagging
        assert all(change.source == B for batch in lagging for change in batch.changes)


async def test_later_changes_of_a_source_wait_for_its_large_commit(database: Database) -> None:
    """A change committed after a large commit of its table comes after all of it, however small it is."""
    await make_table(database, "a")
    written = 0

    async def feed(batch: Batch) -> None:
        nonlocal written
        if batch.snapshot is None and written < 30:
            written += 1
            await database.execute("UPDATE a SET v = v || '!' WHERE id = 500")

    async with capturing(database.daemon_dsn, A, capture={"chunk_rows": 50}) as seen:
        seen.on_batch = feed
        await database.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(1, 5000) AS n")
        await eventually(lambda: written == 30)
        await seen.caught_up(database)
        assert seen.ids == sorted(seen.ids)
        assert len(seen.ids) == len(set(seen.ids)) == 5000 + written


async def test_a_second_large_commit_in_the_same_table_waits_for_the_first(database: Database) -> None:
    """What a lane has to catch up with may be large itself: it goes on in pieces, and order holds."""
    await make_table(database, "a")
    begun = False

    async def feed(batch: Batch) -> None:
        nonlocal begun
        if batch.snapshot is None and not begun:
            begun = True
            await database.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(1001, 1500) AS n")

    async with capturing(database.daemon_dsn, A, capture={"chunk_rows": 20}) as seen:
        seen.on_batch = feed
        await database.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(1, 1000) AS n")
        await eventually(lambda: begun)
        await seen.caught_up(database)
        assert seen.values(A) == [str(number) for number in range(1, 1501)]
        await eventually(lambda: not seen.batches[-1].lagging)


async def test_two_large_commits_stream_beside_each_other(database: Database) -> None:
    """A second large commit, in another table, gets its own lane; each table's order holds and nothing is repeated."""
    await make_table(database, "a")
    await make_table(database, "b")
    begun = False

    async def feed(batch: Batch) -> None:
        nonlocal begun
        if batch.snapshot is None and not begun:
            begun = True
            await database.execute("INSERT INTO b (v) SELECT n::text FROM generate_series(1, 777) AS n")

    async with capturing(database.daemon_dsn, A, B, capture={"chunk_rows": 20}) as seen:
        seen.on_batch = feed
        await database.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(1, 999) AS n")
        await eventually(lambda: begun)
        await seen.caught_up(database)
        assert seen.values(A) == [str(number) for number in range(1, 1000)]
        assert seen.values(B) == [str(number) for number in range(1, 778)]
        assert any(batch.lagging == {A, B} for batch in seen.batches)
        await eventually(lambda: not seen.batches[-1].lagging)


async def test_a_large_commit_over_scattered_ids(database: Database) -> None:
    """Ids far apart, ids that others have in between, and ids that are there twice: each row comes exactly once."""
    await make_table(database, "a")
    await make_table(database, "b")
    writer = await database.connect(autocommit=False)
    async with capturing(database.daemon_dsn, A, B, capture={"chunk_rows": 20}) as seen:
        await writer.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(1, 70) AS n")
        await database.execute("INSERT INTO b (v) SELECT 'x' FROM generate_series(1, 15)")
        await database.execute("SELECT setval(pg_get_serial_sequence('relay.event', 'id'), 1000000000)")
        await writer.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(71, 140) AS n")
        await database.execute("SELECT setval(pg_get_serial_sequence('relay.event', 'id'), 31, false)")
        await writer.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(141, 160) AS n")
        await writer.commit()
        await eventually(lambda: len(seen.values(A)) >= 160)
        await seen.capture.poll_now()
        assert sorted(map(int, seen.values(A))) == list(range(1, 161))
        assert len(seen.values(B)) == 15
        await database.execute(
            "INSERT INTO relay.event (id, source, op, key, new) OVERRIDING SYSTEM VALUE"
            """ SELECT 7, %s, 'insert', '{"id": 1}', '{"v": "same id"}' FROM generate_series(1, 45)""",
            A,
        )
        await eventually(lambda: seen.values(A).count("same id") == 45)


async def test_a_single_row_in_a_large_commit_does_not_wait_for_the_rest(database: Database) -> None:
    """Each table of a large commit streams by itself: one with a single row in it is through before one with many."""
    await make_table(database, "a")
    await make_table(database, "b")
    writer = await database.connect(autocommit=False)
    async with capturing(database.daemon_dsn, A, B, capture={"chunk_rows": 20}) as seen:
        await writer.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(1, 200) AS n")
        await writer.execute("INSERT INTO b (v) VALUES ('one')")
        await writer.commit()
        await seen.caught_up(database)
        assert (len(seen.values(A)), seen.values(B)) == (200, ["one"])
        assert [change.source for change in seen.changes].index(B) < 100
        assert any(batch.lagging == {A} and batch.snapshot for batch in seen.batches)


async def test_a_table_nobody_asked_for_makes_no_lane(database: Database) -> None:
    """A large commit in a table that no channel uses is passed over and holds nobody back."""
    await make_table(database, "a")
    await make_table(database, "b")
    async with capturing(database.daemon_dsn, A, capture={"chunk_rows": 20}) as seen:
        await database.execute("INSERT INTO b (v) SELECT n::text FROM generate_series(1, 500) AS n")
        await eventually(lambda: seen.capture.stats.large_commits)
        await database.execute("INSERT INTO a (v) VALUES ('after')")
        await eventually(lambda: seen.values(A) == ["after"])
        assert not any(batch.lagging for batch in seen.batches)
