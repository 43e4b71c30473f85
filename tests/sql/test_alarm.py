"""The gate, and when a payment rings the alarm."""

import asyncio

import psycopg
import pytest

from relay.demo.postgres import Postgres
from tests.sql.helpers import apply_files, events, refused, watch
from tests.support.database import Database, new_database
from tests.support.server import private_server
from tests.support.waiting import eventually

ALARM = "SELECT s.alarm, v.alarm FROM relay.state AS s, relay.status AS v"
WAKE = '{"v":1,"kind":"wake"}'


async def heard(listener: psycopg.AsyncConnection[object], database: Database) -> list[str]:
    """The payloads that ``listener`` got until now, told apart from later ones by a notification of our own."""
    await database.execute("SELECT pg_notify('relay', 'end')")
    payloads = []
    async for note in listener.notifies(timeout=30):
        if note.payload == "end":
            break
        payloads.append(note.payload)
    return payloads


@pytest.fixture
async def watched(relay_database: Database) -> Database:
    """A database with a watched table."""
    await watch(relay_database)
    return relay_database


async def test_with_no_relay_nobody_notifies(watched: Database) -> None:
    """While K is free, changes of rows and TRUNCATE are recorded without a NOTIFY."""
    listener = await watched.connect()
    await listener.execute("LISTEN relay")
    await watched.execute("INSERT INTO payment DEFAULT VALUES")
    await watched.execute("TRUNCATE payment")
    assert await heard(listener, watched) == []
    assert len(await events(watched)) == 2


async def test_writers_notify_a_sleeping_relay_once_each(watched: Database) -> None:
    """While K is held, each transaction that changes something notifies once, and after the release none does."""
    listener, gate = await watched.connect(), await watched.connect()
    await listener.execute("LISTEN relay")
    cursor = await gate.execute("SELECT relay.request_gate()")
    assert await cursor.fetchone() == (True,)
    assert await watched.execute("SELECT asleep FROM relay.status") == [(True,)]
    await watched.execute("INSERT INTO payment SELECT FROM generate_series(1, 100)")
    await watched.execute("UPDATE payment SET secret = 'unlisted'")
    await watched.execute("TRUNCATE payment")
    assert await heard(listener, watched) == [WAKE, WAKE]
    await gate.execute("SELECT relay.release_gate()")
    await watched.execute("INSERT INTO payment DEFAULT VALUES")
    assert await heard(listener, watched) == []
    assert await watched.execute("SELECT asleep FROM relay.status") == [(False,)]


async def test_a_request_alone_makes_new_writers_notify(watched: Database) -> None:
    """While a relay waits for K, because of a writer who skipped NOTIFY, every new writer notifies."""
    listener, gate, writer = [await watched.connect() for _ in range(3)]
    await listener.execute("LISTEN relay")
    await writer.execute("BEGIN; INSERT INTO payment DEFAULT VALUES")
    request = asyncio.create_task(gate.execute("SELECT relay.request_gate()"))
    waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = %s"
    await eventually(lambda: watched.execute(waiting, gate.info.backend_pid))
    await watched.execute("INSERT INTO payment DEFAULT VALUES")
    assert await (await request).fetchone() == (False,)  # after 900 ms, for the writer is still at it
    assert await heard(listener, watched) == [WAKE]
    await writer.execute("COMMIT")
    cursor = await gate.execute("SELECT relay.request_gate()")
    assert await cursor.fetchone() == (True,)


async def test_the_grant_proves_that_silent_writers_have_ended(watched: Database) -> None:
    """Whoever skipped NOTIFY shares K until commit, beyond a savepoint, and gives it up with what is rolled back."""
    shared = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND pid = %s"
    writer = await watched.connect()
    pid = writer.info.backend_pid
    await writer.execute("BEGIN; SAVEPOINT a; INSERT INTO payment DEFAULT VALUES; RELEASE a")
    assert await watched.execute(shared, pid) == [(1,)]
    await writer.execute("COMMIT")
    assert await watched.execute(shared, pid) == [(0,)]
    await writer.execute("BEGIN; SAVEPOINT a; INSERT INTO payment DEFAULT VALUES; ROLLBACK TO a")
    assert await watched.execute(shared, pid) == [(0,)]
    await writer.execute("ROLLBACK")


async def test_the_gate_may_be_asked_for_twice(watched: Database) -> None:
    """Asking again while holding K changes nothing, one release gives it up, and a second one answers false."""
    gate = await watched.connect()
    for statement, answer in (
        ("SELECT relay.release_gate()", False),
        ("SELECT relay.request_gate()", True),
        ("SELECT relay.request_gate()", True),
        ("SELECT relay.release_gate()", True),
        ("SELECT relay.release_gate()", False),
    ):
        assert await (await gate.execute(statement)).fetchone() == (answer,)
    assert await watched.execute("SELECT * FROM pg_locks WHERE locktype = 'advisory'") == []


async def test_a_cancelled_request_says_what_is_true(watched: Database) -> None:
    """A cancelled request answers false and leaves no lock and no request behind."""
    holder, gate = await watched.connect(), await watched.connect()
    await holder.execute("SELECT relay.request_gate()")
    request = asyncio.create_task(gate.execute("SELECT relay.request_gate()"))
    cancel = "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    await eventually(lambda: watched.execute(cancel))
    assert await (await request).fetchone() == (False,)
    assert await watched.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == [
        (holder.info.backend_pid,)
    ]


async def test_two_phase_commit_works_where_it_is_enabled() -> None:
    """With max_prepared_transactions > 0 capture functions never notify, and the relay is told to poll."""
    with private_server({"max_prepared_transactions": "5"}) as server:
        async with new_database(server) as database:
            await apply_files(database)
            await database.execute("CREATE TABLE t (id int PRIMARY KEY)")
            await watch(database, "t", [])
            assert await database.execute(ALARM) == [(False, False)]
            assert await database.execute("SELECT relay.request_gate()") == [(False,)]
            await database.execute("BEGIN; INSERT INTO t VALUES (1); TRUNCATE t; PREPARE TRANSACTION 'a'")
            assert await events(database) == []
            await database.execute("COMMIT PREPARED 'a'")
            assert len(await events(database)) == 2
            await refused(
                database,
                "SELECT relay.watch('t', '{}', 'notify')",
                message="max_prepared_transactions",
                hint="outbox",
            )


async def test_two_phase_commit_may_be_enabled_later(own_postgres: Postgres) -> None:
    """If max_prepared_transactions is raised after the installation, nothing fails even before it is repeated."""
    async with new_database(own_postgres) as database:
        await apply_files(database)
        await database.execute("CREATE TABLE t (id int PRIMARY KEY)")
        await watch(database, "t", [])
        await database.execute("ALTER SYSTEM SET max_prepared_transactions = 5")
        await database.close()
        own_postgres.restart()
        assert await database.execute(ALARM) == [(True, False)]
        assert await database.execute("SELECT relay.request_gate()") == [(False,)]
        sleeper = await database.connect()
        await sleeper.execute("SELECT pg_advisory_lock(relay.gate_key())")  # a relay that has not noticed yet
        await database.execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'a'")
        await database.execute("COMMIT PREPARED 'a'")
        await apply_files(database)
        assert await database.execute("SELECT alarm FROM relay.state") == [(False,)]
        body = "SELECT prosrc LIKE '%%advisory%%' FROM pg_proc WHERE proname LIKE 'capture_public_t%%'"
        assert await database.execute(body) == [(False,)]


async def fill(database: Database) -> None:
    """Notify until the server refuses."""
    for number in range(1000):
        await database.execute("SELECT pg_notify('other', rpad(%s::text, 7000))", number)


async def test_a_full_notification_queue_fails_no_payment(bare_database: Database) -> None:
    """When some stuck listener has let the queue fill up, payments commit without ringing the alarm.

    Needs PostgreSQL 17, where the queue can be made small enough to fill.
    """
    ((version,),) = await bare_database.execute("SELECT current_setting('server_version_num')::int")
    settings = {"max_notify_queue_pages": "64"} if version >= 170000 else {}
    with private_server(settings) as server:
        async with new_database(server) as database:
            await apply_files(database)
            await database.execute("CREATE TABLE t (id int PRIMARY KEY)")
            await watch(database, "t", [])
            stuck, gate = await database.connect(), await database.connect()
            await stuck.execute("LISTEN other")
            await stuck.execute("BEGIN; SELECT 1")
            await gate.execute("SELECT relay.request_gate()")
            if settings:
                with pytest.raises(psycopg.errors.ProgramLimitExceeded):
                    await fill(database)
            await database.execute("INSERT INTO t VALUES (1)")
            assert len(await events(database)) == 1
