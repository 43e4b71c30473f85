"""What a crash of Postgres takes away must not take a payment with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from relay.demo.postgres import Postgres
from relay.errors import ResumeRefused
from tests.support.capture import Watcher, capturing, make_table
from tests.support.database import Database, create_database, install
from tests.support.proxy import TcpProxy
from tests.support.server import private_server
from tests.support.waiting import eventually

A = "public.a"


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server that keeps what nobody waits for in memory, so that a crash loses it."""
    with private_server({"wal_writer_delay": "10s", "autovacuum": "off", "bgwriter_delay": "10s"}) as server:
        yield server


@pytest.fixture
async def outbox(server: Postgres) -> AsyncIterator[Database]:
    """A database with one watched table."""
    database = await create_database(server)
    await install(database)
    await make_table(database, "a")
    yield database
    await database.close()


async def crash(server: Postgres, outbox: Database) -> None:
    """Kill the server, start it again."""
    server.crash()
    await outbox.close()
    server.start_again()


async def last_event(outbox: Database) -> tuple[int, int]:
    """Id and transaction of the newest event."""
    ((event_id, xid),) = await outbox.execute(
        "SELECT id, xid::text::bigint FROM relay.event ORDER BY xid DESC LIMIT 1"
    )
    return event_id, xid


async def rolled_back_payment(outbox: Database) -> int:
    """The transaction id of a payment that did not come to be."""
    writer = await outbox.connect(autocommit=False)
    await writer.execute("INSERT INTO a (v) VALUES ('declined')")
    ((xid,),) = await (await writer.execute("SELECT pg_current_xact_id()::text::bigint")).fetchall()
    await writer.rollback()
    await writer.close()
    return int(xid)


async def test_an_id_that_is_given_out_again_is_new(server: Postgres, outbox: Database) -> None:
    """After a crash the id of a rolled-back payment goes to another one, which comes; to resuming clients as well."""
    network = TcpProxy.before(outbox.daemon_dsn)
    async with network, capturing(network.through(outbox.daemon_dsn), A) as seen:
        given_again = 0
        for attempt in range(6):
            await outbox.execute("INSERT INTO a (v) VALUES ('before')")
            await seen.caught_up(outbox)
            declined = await rolled_back_payment(outbox)
            await seen.capture.poll_now()
            state, cursor = seen.capture._periods.position, seen.cursor
            assert state is not None
            assert state.prev.sees(declined)
            assert not cursor.snapshot.sees(declined)
            # The relay's own greeting takes an id, too; the payment shall be quicker.
            await network.cut()
            await crash(server, outbox)
            payment = f"after {attempt}"
            await outbox.execute("INSERT INTO a (v) VALUES (%s)", payment)
            await network.restore()
            given_again += (await last_event(outbox))[1] == declined
            await seen.sees(A, payment)
            missed = await seen.capture.resume(cursor)
            assert [change.new for change in missed.changes if change.new and change.new["v"] == payment]
        assert given_again, "the trap was not set: the log was always written in time"
        assert seen.gaps == []
        assert len(seen.ids) == len(set(seen.ids))


async def lose_commits(
    server: Postgres, outbox: Database, seen: Watcher, count: int
) -> list[tuple[int, int]]:
    """Commit without waiting for the disk, let the relay read it, and crash. Id and transaction of what is lost."""
    await outbox.execute("INSERT INTO a (v) VALUES ('safe')")
    await seen.sees(A, "safe")
    careless = await outbox.connect()
    await careless.execute("SET synchronous_commit = off")
    for _ in range(count):
        await careless.execute("INSERT INTO a (v) VALUES ('lost')")
    await eventually(lambda: seen.values(A).count("lost") == count)
    await seen.capture.poll_now()
    lost = [(change.id, change.xid) for change in seen.changes[-count:]]
    await crash(server, outbox)
    return lost


async def test_lost_commits_are_told(server: Postgres, outbox: Database) -> None:
    """When commits with synchronous_commit = off are lost, what covered them is refused and subscribers are told."""
    async with capturing(outbox.daemon_dsn, A) as seen:
        await lose_commits(server, outbox, seen, 3)
        await eventually(lambda: seen.gaps)
        assert set(seen.gaps) <= {"witness", "future"}
        await outbox.execute("INSERT INTO a (v) VALUES ('after')")
        await seen.sees(A, "after")


async def test_others_in_the_place_of_lost_commits_are_told(server: Postgres, outbox: Database) -> None:
    """New payments get the ids of lost ones before the relay is back: the witness is another row, and that is seen."""
    async with TcpProxy.before(outbox.daemon_dsn) as network:
        # The sequence notes 32 ids ahead; what is lost has to begin with such a note for ids to come again.
        while (await last_id(outbox)) != 33:
            await outbox.execute("INSERT INTO a (v) VALUES ('filler')")
        async with capturing(network.through(outbox.daemon_dsn), A) as seen:
            careless = await outbox.connect()
            await careless.execute("SET synchronous_commit = off")
            for _ in range(5):
                await careless.execute("INSERT INTO a (v) VALUES ('lost')")
            await eventually(lambda: seen.values(A).count("lost") == 5)
            await seen.capture.poll_now()
            cursor = seen.cursor
            await network.cut()
            await crash(server, outbox)
            first = next(change.xid for change in seen.changes if change.new and change.new["v"] == "lost")
            while (await outbox.execute("SELECT pg_current_xact_id()::text::bigint"))[0][0] < first - 1:
                pass  # ids of transactions that did other things, and were lost as well
            for _ in range(8):
                await outbox.execute("INSERT INTO a (v) VALUES ('other')")
            witness = cursor.witness
            assert witness is not None
            same = await outbox.execute(
                "SELECT FROM relay.event WHERE id = %s AND xid = %s::text::xid8", witness.id, str(witness.xid)
            )
            assert same, "the trap was not set: other ids were given out"
            await network.restore()
            await eventually(lambda: seen.gaps == ["witness"])
            with pytest.raises(ResumeRefused, match="witness"):
                await seen.capture.resume(cursor)


async def last_id(outbox: Database) -> int:
    """The id that the sequence gave out last."""
    ((value,),) = await outbox.execute("SELECT coalesce(max(id), 0) FROM relay.event")
    return int(value)


async def test_a_crash_in_the_middle_of_everything(server: Postgres, outbox: Database) -> None:
    """Commits before, between and after several crashes all come, large ones among them."""
    async with capturing(outbox.daemon_dsn, A, capture={"chunk_rows": 50}) as seen:
        for number in range(3):
            await outbox.execute("INSERT INTO a (v) SELECT 'big' FROM generate_series(1, 2000)")
            await outbox.execute("INSERT INTO a (v) VALUES (%s)", f"small {number}")
            await crash(server, outbox)
        await seen.caught_up(outbox)
        assert seen.gaps == []
        assert set(seen.ids) == {row[0] for row in await outbox.execute("SELECT id FROM relay.event")}
