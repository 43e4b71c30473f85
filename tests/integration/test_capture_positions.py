"""Positions: who may go on from where, after a restore, a promotion or a prune."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial

import pytest

from relay.capture.batch import Batch
from relay.capture.cursor import Cursor
from relay.capture.snapshot import Snapshot
from relay.demo.postgres import Postgres
from relay.errors import ForeignOutbox, NotPrimary, ResumeRefused
from tests.support.capture import Watcher, capturing, make_table
from tests.support.clusters import copy_of, promote
from tests.support.database import Database, create_database, install
from tests.support.proxy import TcpProxy
from tests.support.server import private_server
from tests.support.waiting import eventually

A, B = "public.a", "public.b"


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server that can be copied."""
    with private_server() as server:
        yield server


@pytest.fixture
async def outbox(server: Postgres) -> AsyncIterator[Database]:
    """A database with one watched table."""
    database = await create_database(server)
    await install(database)
    await make_table(database, "a")
    yield database
    await database.close()


async def refused(seen: Watcher, cursor: Cursor) -> str:
    """Why ``cursor`` is refused."""
    with pytest.raises(ResumeRefused) as no:
        await seen.capture.resume(cursor)
    return no.value.reason


async def test_a_standby_is_refused_and_its_promotion_is_a_new_epoch(
    server: Postgres, outbox: Database
) -> None:
    """The relay does not start on a standby; once that is promoted, a position of the old primary is refused there."""
    with copy_of(server, standby=True) as standby:
        there = Database(standby, outbox.name)
        with pytest.raises(NotPrimary, match="standby"):
            async with capturing(there.daemon_dsn, A):
                pass
        async with capturing(outbox.daemon_dsn, A) as seen:
            await outbox.execute("INSERT INTO a (v) VALUES ('x')")
            await seen.sees(A, "x")
            cursor = seen.cursor
        promote(standby)
        async with capturing(there.daemon_dsn, A) as seen:
            assert await refused(seen, cursor) == "epoch"
            assert seen.cursor.epoch.timeline == cursor.epoch.timeline + 1
            await there.execute("INSERT INTO a (v) VALUES ('y')")
            await seen.sees(A, "y")
        await there.close()


async def test_a_switchover_under_a_running_relay_is_told(server: Postgres, outbox: Database) -> None:
    """When the address of the database leads to a promoted standby, all history is void and reading goes on there."""
    with copy_of(server, standby=True) as standby:
        there = Database(standby, outbox.name)
        network = TcpProxy.before(outbox.daemon_dsn)
        async with network, capturing(network.through(outbox.daemon_dsn), A) as seen:
            await outbox.execute("INSERT INTO a (v) VALUES ('x')")
            await seen.sees(A, "x")
            promote(standby)
            network._target = ("127.0.0.1", standby.port)
            await network.cut()
            await network.restore()
            await eventually(lambda: seen.gaps == ["epoch"])
            await there.execute("INSERT INTO a (v) VALUES ('y')")
            await seen.sees(A, "y")
        await there.close()


async def test_a_restored_dump_is_refused_until_reset(server: Postgres, outbox: Database) -> None:
    """An outbox that was dumped and restored elsewhere stops the start, and the message names relay.reset()."""
    await outbox.execute("INSERT INTO a (v) VALUES ('x')")
    dump = [str(server.bindir / "pg_dump"), "--dbname", outbox.dsn]
    restored = await create_database(server)
    restore = [str(server.bindir / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", restored.dsn]
    text = subprocess.run(dump, check=True, capture_output=True).stdout
    subprocess.run(restore, check=True, input=text, capture_output=True)
    with pytest.raises(ForeignOutbox, match=r"relay\.reset\(\)"):
        async with capturing(restored.daemon_dsn, A):
            pass
    await restored.execute("SELECT relay.reset()")
    async with capturing(restored.daemon_dsn, A) as seen:
        await restored.execute("INSERT INTO a (v) VALUES ('y')")
        await seen.sees(A, "y")
    await restored.close()


async def test_an_older_copy_of_the_files_is_noticed(server: Postgres, outbox: Database) -> None:
    """A server brought back from a file copy has the same identity; a position it has not reached is refused."""
    await outbox.execute("INSERT INTO a (v) VALUES ('x')")
    with copy_of(server, standby=False) as copy:
        async with capturing(outbox.daemon_dsn, A) as seen:
            await outbox.execute("INSERT INTO a (v) VALUES ('later')")
            await seen.sees(A, "later")
            cursor = seen.cursor
        there = Database(copy, outbox.name)
        async with capturing(there.daemon_dsn, A) as seen:
            assert seen.cursor.epoch == cursor.epoch
            assert await refused(seen, cursor) in {"future", "witness"}
            for _ in range(20):
                await there.execute("INSERT INTO a (v) VALUES ('another life')")
            assert await refused(seen, cursor) == "witness"
        await there.close()


async def test_a_reset_under_a_running_relay_is_a_new_epoch(database: Database) -> None:
    """relay.reset() while the relay runs makes all history void, once, and what is written afterwards comes."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A) as seen:
        await database.execute("INSERT INTO a (v) VALUES ('x')")
        await seen.sees(A, "x")
        cursor = seen.cursor
        await database.execute("SELECT relay.reset()")
        await eventually(lambda: seen.gaps == ["epoch"])
        await database.execute("INSERT INTO a (v) VALUES ('y')")
        await seen.sees(A, "y")
        assert await refused(seen, cursor) == "epoch"
        assert seen.gaps == ["epoch"]


async def test_a_cursor_is_good_exactly_while_it_covers_the_horizon(database: Database) -> None:
    """Pruning what a cursor has seen leaves it good; pruning what it has not seen makes it ``pruned``."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A) as seen:
        cursors = []
        for number in range(3):
            cursors.append(seen.cursor)
            await database.execute("INSERT INTO a (v) SELECT %s FROM generate_series(1, 5)", str(number))
            await seen.caught_up(database)
        await database.execute("SELECT relay.prune('0 seconds')")
        assert len(await database.execute("SELECT FROM relay.event")) < 15
        newest = seen.cursor
        assert [await refused(seen, cursor) for cursor in cursors] == ["pruned"] * 3
        assert (await seen.capture.resume(newest)).changes == ()
        await database.execute("INSERT INTO a (v) VALUES ('after')")
        missed = await seen.capture.resume(newest)
        assert [change.new and change.new["v"] for change in missed.changes] == ["after"]
        assert seen.gaps == []


async def test_a_quiet_relay_keeps_its_cursors_ahead_of_the_horizon(database: Database) -> None:
    """When everything is pruned while nothing is written, the next heartbeat publishes a cursor that covers that."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A) as seen:
        await database.execute("INSERT INTO a (v) VALUES ('x')")
        await seen.sees(A, "x")
        for _ in range(50):
            await database.execute("SELECT pg_current_xact_id()")
        for _ in range(2):
            await database.execute("SELECT relay.prune('0 seconds')")
        await seen.capture.poll_now()
        assert (await seen.capture.resume(seen.cursor)).changes == ()


async def test_the_relay_judges_its_own_position_as_strictly(database: Database) -> None:
    """A relay that comes back after its position was pruned away tells everybody, and begins at the present."""
    await make_table(database, "a")
    network = TcpProxy.before(database.daemon_dsn)
    async with network, capturing(network.through(database.daemon_dsn), A) as seen:
        await database.execute("INSERT INTO a (v) VALUES ('x')")
        await seen.sees(A, "x")
        await network.cut()
        await eventually(lambda: seen.state == "down")
        await database.execute("INSERT INTO a (v) VALUES ('missed')")
        await database.execute("SELECT relay.prune('0 seconds')")
        await network.restore()
        await eventually(lambda: seen.gaps == ["pruned"])
        await database.execute("INSERT INTO a (v) VALUES ('y')")
        await seen.sees(A, "y")
        assert seen.values(A) == ["x", "y"]


async def test_what_is_pruned_unread_is_told(database: Database) -> None:
    """Events deleted between two polls of a running relay are a gap for everybody, not a silence."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A) as seen:
        async with seen.stage.hold("polling") as reached:
            await reached.wait()
            await database.execute("INSERT INTO a (v) VALUES ('one')")
            await database.execute("INSERT INTO a (v) VALUES ('two')")
            await database.execute("SELECT relay.prune('0 seconds')")
        await eventually(lambda: seen.gaps == ["pruned"])
        await database.execute("INSERT INTO a (v) VALUES ('three')")
        await seen.sees(A, "three")


async def test_forged_positions_are_refused(database: Database) -> None:
    """A cursor beyond the present is refused; one that claims less than it could only brings more."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A) as seen:
        await database.execute("INSERT INTO a (v) VALUES ('x')")
        await seen.sees(A, "x")
        good = seen.cursor
        assert good.witness is not None
        beyond = Cursor(good.epoch, Snapshot.of(good.snapshot.xmax + 10**6), good.witness)
        assert await refused(seen, beyond) == "future"
        assert (await seen.capture.resume(Cursor(good.epoch, good.snapshot, None))).changes == ()
        nothing = Cursor(good.epoch, Snapshot.nothing(), None)
        assert [change.id for change in (await seen.capture.resume(nothing)).changes] == seen.ids


async def test_a_position_too_far_back_is_refused(database: Database) -> None:
    """More rows than the limit are not read for one client."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture={"replay_limit": 10}) as seen:
        cursor = seen.cursor
        await database.execute("INSERT INTO a (v) SELECT 'x' FROM generate_series(1, 10)")
        assert len((await seen.capture.resume(cursor)).changes) == 10
        await database.execute("INSERT INTO a (v) VALUES ('one more')")
        assert await refused(seen, cursor) == "too_far"


async def test_a_replay_and_the_stream_meet_without_a_seam(database: Database) -> None:
    """What a resumed position covers, and what came live, together are everything: no row is in neither."""
    await make_table(database, "a")
    open_writer = await database.connect(autocommit=False)
    async with capturing(database.daemon_dsn, A) as seen:
        await open_writer.execute("INSERT INTO a (v) VALUES ('open')")
        cursor = seen.cursor
        await database.execute("INSERT INTO a (v) VALUES ('closed')")
        missed = await seen.capture.resume(cursor)
        assert [change.new and change.new["v"] for change in missed.changes] == ["closed"]
        await open_writer.commit()
        await seen.caught_up(database)
        after = [change for change in seen.changes if not missed.snapshot.sees(change.xid)]
        assert [change.new and change.new["v"] for change in after] == ["open"]


def more_than(seen: Watcher, count: int) -> bool:
    """Whether more than so many rows of A have come."""
    return len(seen.values(A)) > count


async def test_a_large_commit_survives_a_lost_connection(database: Database) -> None:
    """A connection that breaks in the middle of a large commit repeats some of it and loses none; order holds."""
    await make_table(database, "a")
    await make_table(database, "b")
    async with TcpProxy.before(database.daemon_dsn) as network:
        settings = {"chunk_rows": 50, "backoff_initial_ms": 1}
        async with capturing(network.through(database.daemon_dsn), A, B, capture=settings) as seen:
            for number in range(3):
                already = len(seen.values(A))
                await database.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(1, 3000) AS n")
                await database.execute("INSERT INTO b (v) VALUES (%s)", str(number))
                await eventually(partial(more_than, seen, already))
                await network.cut()
                await network.restore()
            await seen.caught_up(database)
            assert seen.gaps == []
            first_seen = list(dict.fromkeys(change.id for change in seen.changes if change.source == A))
            assert first_seen == sorted(first_seen)
            assert seen.values(B) == ["0", "1", "2"]


@pytest.mark.parametrize("pieces", [0, 1])
async def test_a_large_commit_that_is_pruned_before_it_is_read_is_told(
    database: Database, pieces: int
) -> None:
    """Rows of a large commit that are deleted between the poll that found it and a piece of it are a gap, too."""
    await make_table(database, "a")
    found = asyncio.Event()
    async with (
        AsyncExitStack() as held,
        capturing(database.daemon_dsn, A, capture={"chunk_rows": 50}) as seen,
    ):

        async def stop_the_next_poll(batch: Batch) -> None:
            if batch.snapshot is None and not found.is_set():
                reached.append(await held.enter_async_context(seen.stage.hold("polled")))
                found.set()

        reached: list[asyncio.Event] = []
        async with seen.stage.hold("polling") as polling:
            await polling.wait()
            await database.execute("INSERT INTO a (v) SELECT n::text FROM generate_series(1, 80) AS n")
            if pieces:
                seen.on_batch = stop_the_next_poll
            else:
                reached.append(await held.enter_async_context(seen.stage.hold("polled")))
                found.set()
        await found.wait()
        await reached[0].wait()
        await database.execute("SELECT relay.prune('0 seconds')")
        await held.aclose()
        await eventually(lambda: seen.gaps)
