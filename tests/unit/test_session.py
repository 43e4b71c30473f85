"""A session's statements: what becomes of them when somebody gives up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import psycopg
import pytest

from relay.capture.session import Session


class Connection:
    """Waits at every statement for ever; a cancelled wait fails as Postgres says it: the statement was cancelled."""

    closed = False

    def __init__(self, *, fails: bool = False) -> None:
        self.waiting = asyncio.Event()
        self._fails = fails

    async def execute(self, statement: str, params: Any) -> Any:
        """As psycopg does."""
        if not self._fails:
            self.waiting.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        raise psycopg.errors.QueryCanceled("canceling statement due to user request")


def session(connection: Connection) -> Session:
    """A session on that connection."""
    return Session("read", connection, deadline=60)  # type: ignore[arg-type]


async def test_a_cancelled_statement_is_a_cancellation_whatever_postgres_calls_it() -> None:
    """An error that follows from a cancellation does not take its place, or whoever cancelled would wait for ever."""
    connection = Connection()
    task = asyncio.ensure_future(session(connection).fetch("SELECT 1"))
    await connection.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timeout_around_a_statement_stays_a_timeout() -> None:
    """asyncio.timeout cancels too, and still becomes a TimeoutError."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await session(Connection()).fetch("SELECT 1")


async def test_an_error_of_postgres_is_an_error() -> None:
    """Where nobody cancelled, what Postgres says stands."""
    with pytest.raises(psycopg.errors.QueryCanceled):
        await session(Connection(fails=True)).fetch("SELECT 1")
