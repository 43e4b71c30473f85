"""One connection to Postgres, with the settings the relay needs and a way to end it that always works.

Cancelling a psycopg call on a dead link waits for an answer that does not come. A deadline here therefore shuts the
socket down instead: the statement that waits on it fails at once, by itself, and the connection is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from relay.capture import queries
from relay.capture.patience import Patience
from relay.capture.trouble import describe_target, explain_connect
from relay.errors import CaptureDegraded, DatabaseError, DatabaseUnreachable, NotPrimary

__all__ = ["GATE_IDLE_SECONDS", "Row", "Session", "cancellations", "fault", "first_line", "is_lost"]

Row = tuple[Any, ...]

#: A gate session that says nothing for so long is ended by Postgres: a frozen relay must not keep writers notifying.
GATE_IDLE_SECONDS = 5

# A timer that is called so much later than it asked for says more about this process than about the database.
_LATE_SECONDS = 0.1

# A peer that vanished without a word is noticed within about 15 s, also when nothing is being said.
_LINK = {
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "client_encoding": "utf8",
}


def first_line(error: BaseException) -> str:
    """The gist of a libpq message, which may run over several lines."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


class Session:
    """A connection in autocommit; one statement at a time. ``role`` shows in pg_stat_activity as 'relay ROLE'."""

    def __init__(self, role: str, connection: psycopg.AsyncConnection[Row], deadline: float) -> None:
        self.role = role
        self.connection = connection
        self.deadline = deadline
        self.pid = 0
        self._patience = Patience()

    @classmethod
    async def open(cls, dsn: str, role: str, *, connect_timeout: float, deadline: float) -> Self:
        """Connect to the primary and settle in. ``deadline`` (seconds) is for each statement.

        Raises DatabaseUnreachable, NotPrimary.
        """
        connection = await _connect(dsn, role, connect_timeout)
        session = cls(role, connection, deadline)
        try:
            await session.fetch(queries.SETTINGS, _settings(role))
            ((standby, pid),) = await session.fetch(queries.HELLO)
        except psycopg.Error as error:
            await session.close()
            raise DatabaseUnreachable(f"Postgres ended a new session: {first_line(error)}") from None
        except BaseException:
            await session.close()
            raise
        if standby:
            await session.close()
            raise NotPrimary(
                "database.dsn leads to a standby, whose snapshots cannot be trusted; point it at the primary"
            )
        session.pid = pid
        return session

    @property
    def closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self.connection.closed

    async def fetch(
        self, statement: str, params: Mapping[str, Any] | None = None, *, deadline: float | None = None
    ) -> list[Row]:
        """Run one statement; its rows. psycopg.OperationalError when the deadline passes or the link breaks."""
        with self._limited(self.deadline if deadline is None else deadline):
            cursor = await self.connection.execute(statement, params)
            return await cursor.fetchall() if cursor.description else []

    async def fetch_in_one(self, *steps: tuple[str, Mapping[str, Any] | None]) -> list[list[Row]]:
        """Run several statements in one round trip (pipeline mode); the rows of each. Errors as above; the first one
        ends them all, and leaves an open transaction open.
        """
        with self._limited(self.deadline):
            async with self.connection.pipeline():
                cursors = [await self.connection.execute(text, params) for text, params in steps]
            return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]

    async def settle(self, written: str | None = None) -> None:
        """Return once the server's log is on disk up to ``written``, or up to all that this session has seen so far.

        Not inside a transaction. Mostly there is nothing to wait for, and this costs a round trip.
        """
        if written is None and (written := await self.value(queries.UNSETTLED)) is None:
            return
        pauses = self._patience.pauses()
        for pause in pauses:
            if await self.value(queries.SETTLED, {"written": written}):
                return self._patience.rewarded()
            await asyncio.sleep(pause)
        if pauses:
            self._patience.in_vain()
        await self.fetch(queries.SETTLE, {"written": written})

    async def columns(self, statement: str, params: Mapping[str, Any] | None = None) -> list[str]:
        """Run one statement; the names of its columns."""
        with self._limited(self.deadline):
            cursor = await self.connection.execute(statement, params)
            return [column.name for column in cursor.description or ()]

    async def value(
        self, statement: str, params: Mapping[str, Any] | None = None, *, deadline: float | None = None
    ) -> Any:
        """The one value that a statement returns."""
        ((value,),) = await self.fetch(statement, params, deadline=deadline)
        return value

    async def watch(self, attention: asyncio.Event, timeout: float | None = None) -> bool:
        """Wait until ``attention`` is set, the socket has something, or ``timeout`` is over. True: the socket had it.

        Only between statements. A broken connection has something at once: its end.
        """
        loop = asyncio.get_running_loop()
        spoke = False

        def readable() -> None:
            nonlocal spoke
            spoke = True
            loop.remove_reader(fd)
            attention.set()

        fd = self.connection.pgconn.socket
        loop.add_reader(fd, readable)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await attention.wait()
        finally:
            loop.remove_reader(fd)
        return spoke

    def heard(self) -> list[tuple[str, str]]:
        """Take in what the socket has, and return the notifications in it as (channel, payload).

        Straight from libpq: psycopg's ``notifies()`` wakes ten times a second and holds the connection's lock.
        """
        pgconn = self.connection.pgconn
        pgconn.consume_input()
        notes = []
        while (note := pgconn.notifies()) is not None:
            notes.append((note.relname.decode(errors="replace"), note.extra.decode(errors="replace")))
        return notes

    def abort(self) -> None:
        """End the connection from this side, now, whatever it is doing. A statement that waits on it fails."""
        if self.connection.closed:
            return
        with contextlib.suppress(OSError, psycopg.Error):
            # A duplicate: the descriptor itself belongs to libpq, which closes it when the connection is closed.
            peer = socket.socket(fileno=os.dup(self.connection.pgconn.socket))
            with peer:
                peer.shutdown(socket.SHUT_RDWR)

    async def rollback(self) -> None:
        """Roll back; where that fails, end the connection. Never raises an error that would hide what led here: the
        cancel of one statement may arrive late and strike this one.
        """
        if not self.closed:
            try:
                await self.fetch(queries.ROLLBACK)
            except psycopg.Error:
                self.abort()
                await self.close()

    async def close(self) -> None:
        """Close the connection; safe to repeat."""
        await self.connection.close()

    @contextlib.contextmanager
    def _limited(self, seconds: float) -> Iterator[None]:
        deadline = _Deadline(seconds, self.abort)
        before = cancellations()
        try:
            yield
        except psycopg.Error:
            if cancellations() > before:
                # psycopg ends a cancelled statement on the server first. An error that comes of this would be dealt
                # with like any other, and whoever cancelled would wait for ever.
                raise asyncio.CancelledError from None
            raise
        finally:
            deadline.cancel()


class _Deadline:
    """Calls ``passed`` after ``seconds``, unless cancelled.

    Time in which the event loop stood still does not count: the answer may be there and nobody has looked. To end a
    healthy connection for it would make everybody start over, which is the most work there is.
    """

    def __init__(self, seconds: float, passed: Callable[[], None]) -> None:
        self._seconds = seconds
        self._passed = passed
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(seconds, self._due)

    def _due(self) -> None:
        if self._loop.time() - self._timer.when() > _LATE_SECONDS:
            self._timer = self._loop.call_later(self._seconds, self._due)
        else:
            self._passed()

    def cancel(self) -> None:
        self._timer.cancel()


def cancellations() -> int:
    """How often the present task has been asked to end."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


async def _connect(dsn: str, role: str, timeout: float) -> psycopg.AsyncConnection[Row]:
    try:
        given = conninfo_to_dict(dsn)
        wanted = {name: value for name, value in _LINK.items() if name not in given}
        # libpq knows whole seconds, two at least; our own limit is the exact one.
        wanted |= {"application_name": f"relay {role}", "connect_timeout": str(max(2, round(timeout)))}
        async with asyncio.timeout(timeout):
            return await psycopg.AsyncConnection.connect(make_conninfo(dsn, **wanted), autocommit=True)
    except TimeoutError:
        raise DatabaseUnreachable(
            f"{describe_target(dsn)} did not answer within {timeout:g} s; check database.dsn and the network"
        ) from None
    except psycopg.Error as error:
        raise explain_connect(error, dsn) from None


def _settings(role: str) -> dict[str, str]:
    reads = role == "read"
    return {
        "idle": f"{GATE_IDLE_SECONDS}s" if role == "gate" else "0",
        # The poll has one good plan, by the indexes; one made while the outbox was empty would read or sort all of it,
        # or go through every index entry of a large commit for the first thousand rows.
        "plans": "force_generic_plan" if reads else "auto",
        "scans": "off" if reads else "on",
    }


def fault(error: psycopg.Error, doing: str) -> DatabaseError:
    """An error of Postgres while ``doing`` something, as one of ours: CaptureDegraded if the session is lost by it."""
    if is_lost(error):
        return CaptureDegraded(f"the connection to Postgres was lost ({first_line(error)}); trying again")
    return DatabaseError(f"{doing} failed: {first_line(error) if _is_safe(error) else _condition(error)}")


def _is_safe(error: psycopg.Error) -> bool:
    """Whether the message is about names and resources. Errors about data, and those that a function raises for
    itself, quote values, and what becomes of them may end in a log."""
    state = error.sqlstate or ""
    return not state or state[:2] in ("08", "0A", "25", "40", "42", "53", "54", "55", "57", "58", "XX")


def _condition(error: psycopg.Error) -> str:
    return f"{type(error).__name__} ({error.sqlstate})"


def is_lost(error: psycopg.Error) -> bool:
    """Whether the session cannot be used after ``error``: libpq's own errors, shutdown, crash, idle timeout."""
    state = error.sqlstate
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and (
        state is None or state.startswith(("08", "57P")) or state == "25P03"
    )
