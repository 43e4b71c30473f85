"""What a crash of Postgres takes away must not take a payment with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest

from relay.capture.batch import Batch
from relay.capture.rows import RowsQuery
from relay.demo.postgres import Postgres
from relay.errors import ResumeRefused
from tests.support.capture import capturing, make_table
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


async def careless(outbox: Database) -> psycopg.AsyncConnection[Any]:
    """A session that does not wait until its commits are on disk."""
    session = await outbox.connect()
    await session.execute("SET synchronous_commit = off")
    return session


async def test_what_nobody_waited_for_can_be_lost(server: Postgres, outbox: Database) -> None:
    """What the next tests rest on: without a relay this server loses such a commit when it crashes."""
    writer = await careless(outbox)
    await writer.execute("INSERT INTO a (v) VALUES ('lost')")
    await crash(server, outbox)
    assert await outbox.execute("SELECT v FROM a") == []


async def test_what_was_told_survives_a_crash(server: Postgres, outbox: Database) -> None:
    """Nothing is told before it is on disk, also if its writer did not wait for that (synchronous_commit = off)."""
    async with capturing(outbox.daemon_dsn, A) as seen:
        writer = await careless(outbox)
        for number in range(20):
            await writer.execute("INSERT INTO a (v) VALUES (%s)", (f"payment {number}",))
        await seen.sees(A, "payment 19")
        await crash(server, outbox)
        assert set(seen.ids) == {row[0] for row in await outbox.execute("SELECT id FROM relay.event")}
        await outbox.execute("INSERT INTO a (v) VALUES ('after')")
        await seen.sees(A, "after")
        assert seen.gaps == []


async def test_where_a_relay_began_survives_a_crash(server: Postgres, outbox: Database) -> None:
    """So it is for the newest payment where a relay begins, or begins again: it is the witness of the next cursors."""
    writer = await careless(outbox)
    await writer.execute("INSERT INTO a (v) VALUES ('before')")
    network = TcpProxy.before(outbox.daemon_dsn)
    async with network, capturing(network.through(outbox.daemon_dsn), A) as seen:
        await network.cut()
        await writer.execute("UPDATE relay.event SET at = at + interval '1 microsecond'")
        await writer.execute("INSERT INTO a (v) VALUES ('meanwhile')")
        await network.restore()
        await eventually(lambda: seen.gaps == ["witness"])
        await crash(server, outbox)
        assert await outbox.execute("SELECT v FROM a") == [("before",), ("meanwhile",)]
        await outbox.execute("INSERT INTO a (v) VALUES ('after')")
        await seen.sees(A, "after")
        assert seen.gaps == ["witness"]


async def test_what_came_beside_a_large_commit_survives_a_crash(server: Postgres, outbox: Database) -> None:
    """So it is for what is committed to the same table meanwhile, which no poll finds."""
    async with capturing(outbox.daemon_dsn, A, capture={"chunk_rows": 50}) as seen:
        writer = await careless(outbox)
        written: list[Batch] = []

        async def beside(batch: Batch) -> None:
            if batch.changes and not written:
                written.append(batch)
                await writer.execute("INSERT INTO a (v) VALUES ('beside')")

        seen.on_batch = beside
        await outbox.execute("INSERT INTO a (v) SELECT 'big' FROM generate_series(1, 500)")
        await seen.sees(A, "beside")
        await crash(server, outbox)
        assert await outbox.execute("SELECT count(*) FROM a WHERE v = 'beside'") == [(1,)]


async def test_a_large_commit_that_was_told_survives_a_crash(server: Postgres, outbox: Database) -> None:
    """So it is for a commit that comes in parts, from its first part on."""
    async with capturing(outbox.daemon_dsn, A, capture={"chunk_rows": 50}) as seen:
        writer = await careless(outbox)
        first = asyncio.Event()
        seen.on_batch = lambda batch: first.set() if batch.changes else None
        await writer.execute("INSERT INTO a (v) SELECT 'big' FROM generate_series(1, 500)")
        await first.wait()
        await crash(server, outbox)
        assert await outbox.execute("SELECT count(*) FROM a") == [(500,)]
        await seen.caught_up(outbox)
        assert seen.gaps == []


async def test_what_a_notification_told_survives_a_crash(server: Postgres, outbox: Database) -> None:
    """So it is for a table in mode notify."""
    await outbox.execute("CREATE TABLE n (id int PRIMARY KEY, v text)")
    await outbox.execute("SELECT relay.watch('public.n', ARRAY['id', 'v'], mode => 'notify')")
    async with capturing(outbox.daemon_dsn, "public.n") as seen:
        writer = await careless(outbox)
        await writer.execute("INSERT INTO n VALUES (1, 'told')")
        await seen.sees("public.n", "told")
        await crash(server, outbox)
        assert await outbox.execute("SELECT v FROM n") == [("told",)]


async def test_what_a_snapshot_showed_survives_a_crash(server: Postgres, outbox: Database) -> None:
    """The rows of a table, which a poll may not have come to yet, are on disk before they are shown."""
    await outbox.execute("CREATE TABLE unwatched (v text)")
    await outbox.execute("GRANT SELECT ON unwatched TO relay_reader")
    async with capturing(outbox.daemon_dsn, A) as seen:
        writer = await careless(outbox)
        await writer.execute("INSERT INTO unwatched VALUES ('shown')")
        found = await seen.capture.rows(RowsQuery("public.unwatched", ("v",), limit=10))
        assert [row["v"] for row in found.rows] == ["shown"]
        await crash(server, outbox)
        assert await outbox.execute("SELECT v FROM unwatched") == [("shown",)]


async def test_what_a_look_up_gave_survives_a_crash(server: Postgres, outbox: Database) -> None:
    """So it is for what look-ups read."""
    await outbox.execute("CREATE TABLE unwatched (id int, v text)")
    await outbox.execute("GRANT SELECT ON unwatched TO relay_reader")
    async with capturing(outbox.daemon_dsn, A) as seen:
        writer = await careless(outbox)
        await writer.execute("INSERT INTO unwatched VALUES (1, 'shown')")
        found = await seen.capture.look_up("SELECT id, v FROM unwatched WHERE id = ANY (%(keys)s)", [1])
        assert found == {1: {"v": "shown"}}
        await crash(server, outbox)
        assert await outbox.execute("SELECT v FROM unwatched") == [("shown",)]


async def test_what_a_census_counted_survives_a_crash(server: Postgres, outbox: Database) -> None:
    """So it is for what aggregates begin with."""
    async with capturing(outbox.daemon_dsn, A) as seen:
        writer = await careless(outbox)
        await writer.execute("CREATE TABLE counted ()")
        async with seen.capture.census() as census, census.begin():
            pass
        await crash(server, outbox)
        assert await outbox.execute("SELECT to_regclass('counted') IS NOT NULL") == [(True,)]


async def test_how_a_table_was_captured_survives_a_crash(server: Postgres, outbox: Database) -> None:
    """So it is for a trigger that somebody disabled: clients are told once, and not again because it is back."""
    async with capturing(outbox.daemon_dsn, A) as seen:
        await seen.capture.poll_now()
        owner = await careless(outbox)
        await owner.execute("ALTER TABLE a DISABLE TRIGGER ALL")
        await seen.capture.poll_now()
        assert seen.gaps == ["capture_changed"]
        await crash(server, outbox)
        assert await outbox.execute(
            "SELECT trigger_enabled FROM relay.watched WHERE source = 'public.a'"
        ) == [(False,)]


async def test_a_revocation_that_was_acted_on_survives_a_crash(server: Postgres, outbox: Database) -> None:
    """So it is for whom the relay was told to refuse: nobody who was shown out comes back in."""
    async with capturing(outbox.daemon_dsn, A) as seen:
        administrator = await careless(outbox)
        await administrator.execute("SELECT relay.revoke('mallory', 'left')")
        assert [each.subject for each in await seen.capture.revocations()] == ["mallory"]
        await crash(server, outbox)
        assert await outbox.execute("SELECT subject FROM relay.revocation") == [("mallory",)]


async def test_a_lost_witness_is_told(server: Postgres, outbox: Database) -> None:
    """Should told commits be gone all the same (a disk that lies, files put back), all who rest on them are told."""
    network = TcpProxy.before(outbox.daemon_dsn)
    async with network, capturing(network.through(outbox.daemon_dsn), A) as seen:
        await outbox.execute("INSERT INTO a (v) VALUES ('lost')")
        await seen.sees(A, "lost")
        cursor = seen.cursor
        await network.cut()
        # The same ids, as Postgres gives them out again; only the time tells that it is another payment.
        await outbox.execute("UPDATE relay.event SET at = at + interval '1 microsecond'")
        await network.restore()
        await eventually(lambda: seen.gaps == ["witness"])
        with pytest.raises(ResumeRefused, match="witness"):
            await seen.capture.resume(cursor)


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
