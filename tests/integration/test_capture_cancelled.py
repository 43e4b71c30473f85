"""No session outlives whoever opened it, at whatever statement its opening is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from relay.capture import session as sessions
from relay.capture.link import open_session
from relay.capture.session import Session
from relay.capture.source import Capture
from relay.config import DatabaseSettings, Settings
from tests.support.database import Database
from tests.support.waiting import eventually


class Stopped:
    """Sessions that stop for good at their ``at``-th statement, counted over all of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.reached = asyncio.Event()
        self.connections: list[psycopg.AsyncConnection[Any]] = []
        self._left = at
        fetch, connect = Session.fetch, sessions._connect

        async def stopping(session: Session, *args: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                self.reached.set()
                await asyncio.Event().wait()
            return await fetch(session, *args, **options)

        async def noting(*args: Any) -> psycopg.AsyncConnection[Any]:
            self.connections.append(await connect(*args))
            return self.connections[-1]

        monkeypatch.setattr(Session, "fetch", stopping)
        monkeypatch.setattr(sessions, "_connect", noting)


async def cancelled_everywhere(monkeypatch: pytest.MonkeyPatch, opening: Callable[[], Awaitable[Any]]) -> int:
    """Cancel ``opening`` at each of its statements in turn; at how many that was. It has to leave nothing open."""
    for at in range(100):
        with monkeypatch.context() as patch:
            stopped = Stopped(patch, at)
            task = asyncio.ensure_future(opening())
            reached = asyncio.ensure_future(stopped.reached.wait())
            await asyncio.wait([task, reached], return_when=asyncio.FIRST_COMPLETED)
            reached.cancel()
            if task.done():
                return at
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert stopped.connections
            assert all(connection.closed for connection in stopped.connections), (
                f"left open at statement {at}"
            )
    raise AssertionError("it never came to its end")


async def test_one_session_is_closed_wherever_its_opening_is_cancelled(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that nobody has been given yet is closed by whoever was opening it."""
    settings = DatabaseSettings(dsn=database.daemon_dsn)

    async def opening() -> None:
        session, _ = await open_session(settings, "errand")
        await session.close()

    assert await cancelled_everywhere(monkeypatch, opening) == 3


async def test_all_sessions_are_closed_wherever_a_start_is_cancelled(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay that is told to stop while it still connects leaves no session behind."""
    settings = Settings.model_validate({"database": {"dsn": database.daemon_dsn}})

    async def opening() -> None:
        capture = Capture(settings, frozenset())
        await capture.start()
        await capture.close()

    assert await cancelled_everywhere(monkeypatch, opening) > 9


async def test_a_cancellation_survives_a_connection_that_breaks_over_it(database: Database) -> None:
    """Whoever is cancelled ends, also if the connection is lost in the same moment: a relay that drains would hang."""
    settings = DatabaseSettings(dsn=database.daemon_dsn)
    session, _ = await open_session(settings, "read")
    waiting = asyncio.ensure_future(session.fetch("SELECT pg_sleep(60)"))
    await eventually(lambda: session.connection.lock.locked())
    waiting.cancel()
    session.abort()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await session.close()
