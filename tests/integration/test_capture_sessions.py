"""The sessions of a relay: how they are set, how they end, and why a first one may be refused."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import psycopg
import pytest

from relay.capture.listener import Listener
from relay.capture.session import Session
from relay.errors import (
    CaptureDegraded,
    DatabaseError,
    DatabaseUnreachable,
    MappingError,
    PoolerInPath,
    SchemaMismatch,
)
from tests.support.capture import capturing, make_table
from tests.support.database import Database
from tests.support.proxy import TcpProxy
from tests.support.waiting import eventually

A = "public.a"


async def why_not(dsn: str, kind: type[DatabaseError]) -> str:
    """The one line that tells why a relay does not start with ``dsn``."""
    with pytest.raises(kind) as error:
        async with capturing(dsn, A, database={"connect_timeout_seconds": 3}):
            pass
    message = str(error.value)
    assert "\n" not in message
    assert error.value.exit_code == 4
    return message


async def sessions(database: Database) -> list[str]:
    """The names of the relay's sessions."""
    rows = await database.execute(
        "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'relay %' ORDER BY 1"
    )
    return [name for (name,) in rows]


async def test_a_relay_has_three_lasting_sessions(database: Database) -> None:
    """Listen, read and gate, whatever clients ask; one more while it is asked something; none when it has ended."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A) as seen:
        assert await sessions(database) == ["relay gate", "relay listen", "relay read"]
        await asyncio.gather(*(seen.capture.resume(seen.cursor) for _ in range(5)))
        assert await sessions(database) == ["relay errand", "relay gate", "relay listen", "relay read"]
    await eventually(lambda: gone(database))


async def gone(database: Database) -> bool:
    """Whether no session is left."""
    return not await sessions(database)


@pytest.mark.parametrize("role", ["listen", "read", "gate", "errand"])
async def test_sessions_do_not_inherit_what_would_harm(database: Database, role: str) -> None:
    """Timeouts, isolation and jit that were set for the role do not reach the relay's sessions."""
    for setting in (
        "default_transaction_isolation = serializable",
        "statement_timeout = '9s'",
        "idle_session_timeout = '9s'",
        "lock_timeout = '9s'",
        "jit = on",
        "timezone = 'Asia/Kathmandu'",
    ):
        await database.execute(f"ALTER ROLE relay_daemon IN DATABASE {database.name} SET {setting}")
    session = await Session.open(database.daemon_dsn, role, connect_timeout=5, deadline=5)
    try:
        rows = await session.fetch(
            "SELECT name, setting FROM pg_settings WHERE name IN ('default_transaction_isolation', 'statement_timeout',"
            " 'transaction_timeout', 'idle_session_timeout', 'lock_timeout', 'jit', 'TimeZone', 'application_name')"
        )
        found: dict[str, str] = dict(rows)
        assert found.pop("transaction_timeout", "0") == "0"
        assert found == {
            "application_name": f"relay {role}",
            "default_transaction_isolation": "read committed",
            "idle_session_timeout": "5000" if role == "gate" else "0",
            "jit": "off",
            "lock_timeout": "0",
            "statement_timeout": "0",
            "TimeZone": "UTC",
        }
    finally:
        await session.close()


async def test_a_wrong_password_is_one_line(database: Database) -> None:
    """A wrong password, an unknown database and a closed port each stop the start with one line, no password in it."""
    wrong = database.daemon_dsn.replace(database.server.password, "s3cret")
    assert "password" in await why_not(wrong, DatabaseUnreachable)
    assert "s3cret" not in await why_not(wrong, DatabaseUnreachable)
    missing = database.daemon_dsn.replace(f"/{database.name}", "/nothing_here")
    assert "nothing_here" in await why_not(missing, DatabaseUnreachable)
    assert "database.dsn" in await why_not("postgresql://127.0.0.1:1/x", DatabaseUnreachable)


async def test_a_missing_schema_is_one_line(bare_database: Database) -> None:
    """Where nothing is installed the start names the command that installs."""
    assert "relay install --apply" in await why_not(bare_database.dsn, SchemaMismatch)


async def test_another_version_of_the_schema_is_one_line(database: Database) -> None:
    """An older schema wants an install, a newer one wants a newer program."""
    await database.execute("UPDATE relay.state SET schema_version = 0")
    assert "install --apply" in await why_not(database.daemon_dsn, SchemaMismatch)
    await database.execute("UPDATE relay.state SET schema_version = 1000")
    assert "upgrade payment-relay" in await why_not(database.daemon_dsn, SchemaMismatch)


async def test_a_role_without_rights_is_one_line(database: Database) -> None:
    """A login role that is no member of relay_reader is told what to grant."""
    await database.execute("REVOKE relay_reader FROM relay_daemon")
    try:
        assert "GRANT relay_reader TO relay_daemon" in await why_not(database.daemon_dsn, DatabaseError)
    finally:
        await database.execute("GRANT relay_reader TO relay_daemon")


@pytest.mark.parametrize(
    "loss", ["REVOKE ALL ON SEQUENCE relay.settled FROM relay_reader", "DROP SEQUENCE relay.settled"]
)
async def test_a_role_that_cannot_have_the_log_flushed_is_one_line(database: Database, loss: str) -> None:
    """Where relay.settled cannot be written to, the start says so, though nothing has to be written there yet."""
    await database.execute(loss)
    why = await why_not(database.daemon_dsn, DatabaseError)
    assert "relay.settled" in why
    assert "relay install --apply" in why


@contextlib.asynccontextmanager
async def deafening(dsn: str) -> AsyncIterator[str]:
    """A way to Postgres on which LISTEN arrives as something else, as it does through a transaction pooler."""
    proxy = TcpProxy.before(dsn)
    host, port = proxy._target

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, port)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data.replace(b"LISTEN relay", b"LISTEN elbow"))
            target.close()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy.through(dsn)


async def test_a_transaction_pooler_is_found_out(database: Database) -> None:
    """A relay that does not hear what it says to itself refuses to run, and names the pooler."""
    async with deafening(database.daemon_dsn) as dsn:
        assert "pooler" in await why_not(dsn + "?sslmode=disable", PoolerInPath)


async def test_a_link_that_swallows_everything_ends_by_a_deadline(database: Database) -> None:
    """A link that is silently dead is given up at the poll's deadline; clients are told; nothing is lost."""
    await make_table(database, "a")
    async with (
        TcpProxy.before(database.daemon_dsn) as network,
        capturing(
            network.through(database.daemon_dsn),
            A,
            database={"poll_deadline_seconds": 0.3, "connect_timeout_seconds": 0.5},
        ) as seen,
    ):
        network.freeze()
        await database.execute("INSERT INTO a (v) VALUES ('meanwhile')")
        with pytest.raises(CaptureDegraded):
            await seen.capture.poll_now()
        await eventually(lambda: seen.statuses and not seen.statuses[-1].ok)
        with pytest.raises(CaptureDegraded):
            await seen.capture.poll_now()
        with pytest.raises(CaptureDegraded):
            await seen.capture.resume(seen.cursor)
        network.thaw()
        await seen.sees(A, "meanwhile")
        await eventually(lambda: seen.statuses[-1].ok)
        assert seen.gaps == []


async def test_a_relay_that_stood_still_does_not_blame_the_link(database: Database) -> None:
    """Time in which the relay itself did nothing is not counted against an answer that came meanwhile."""
    session = await Session.open(database.daemon_dsn, "read", connect_timeout=5, deadline=0.3)
    try:
        answer = asyncio.create_task(session.value("SELECT pg_backend_pid()"))
        await asyncio.sleep(0)
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            pass
        assert [await answer, await session.value("SELECT pg_backend_pid()")] == [session.pid] * 2
        with pytest.raises(psycopg.OperationalError):
            await session.fetch("SELECT pg_sleep(30)")
    finally:
        await session.close()


async def test_cuts_at_random_moments_lose_and_repeat_nothing(database: Database) -> None:
    """However often the network is cut, every commit comes exactly once."""
    await make_table(database, "a")
    async with (
        TcpProxy.before(database.daemon_dsn) as network,
        capturing(
            network.through(database.daemon_dsn), A, capture={"backoff_initial_ms": 1, "idle_after_ms": 10}
        ) as seen,
    ):
        writer = await database.connect()
        for number in range(200):
            await writer.execute("INSERT INTO a (v) VALUES (%s)", (str(number),))
            if number % 20 == 7:
                await writer.execute("SELECT pg_sleep(%s::float / 1000)", (number,))
                await network.cut()
                await network.restore()
        await seen.caught_up(database)
        assert seen.values(A) == [str(number) for number in range(200)]
        assert seen.gaps == []
        assert seen.capture.stats.unannounced_events == 0


async def test_a_connection_lost_while_coming_back_is_one_more_attempt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage the relay goes on trying, also when a session breaks in the middle of being set up."""
    await make_table(database, "a")
    attempts = 0
    start = Listener.start

    async def breaking(listener: Listener) -> None:
        nonlocal attempts
        attempts += 1
        if 1 < attempts < 4:
            listener._session.abort()
        await start(listener)

    monkeypatch.setattr(Listener, "start", breaking)
    async with capturing(database.daemon_dsn, A, capture={"backoff_initial_ms": 1}) as seen:
        for number in range(2):
            await database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'relay read'"
            )
            await database.execute("INSERT INTO a (v) VALUES (%s)", str(number))
            await seen.sees(A, str(number))
        assert attempts == 5


async def test_what_the_configuration_needs_is_compared(database: Database) -> None:
    """A table or column that is missing or not watched, and a trigger that is off, are named with the remedy."""
    await make_table(database, "a")
    await database.execute("ALTER TABLE a ADD COLUMN extra int")
    await database.execute("CREATE TABLE plain (id int PRIMARY KEY)")
    async with capturing(database.daemon_dsn, A) as seen:
        check = seen.capture.check
        await check({A: frozenset({"id", "v"})})
        for needs, words in (
            ({"public.none": {"id"}}, ("public.none", "does not exist")),
            ({A: {"colour"}}, (A, "no column colour")),
            ({A: {"extra"}}, (f"{A}.extra", "relay install --apply")),
            ({"public.plain": {"id"}}, ("public.plain", "relay install --apply")),
        ):
            with pytest.raises(MappingError) as error:
                await check({source: frozenset(columns) for source, columns in needs.items()})
            assert all(word in str(error.value) for word in words)
        await database.execute("ALTER TABLE a DISABLE TRIGGER ALL")
        with pytest.raises(MappingError, match="disabled"):
            await check({A: frozenset({"id"})})
        await database.execute('DROP TRIGGER "!relay_capture" ON a')
        with pytest.raises(MappingError, match="gone"):
            await check({A: frozenset({"id"})})
