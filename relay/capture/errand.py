"""The short-lived fourth session, for whatever clients ask: snapshots, replays, look-ups. One thing at a time.

It is opened when there is something to do and closed after ten idle seconds. Whoever comes waits for their turn; when
too many wait, the next is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import structlog

from relay.capture import queries
from relay.capture.cursor import Epoch
from relay.capture.schema import Identity
from relay.capture.session import Session, fault
from relay.errors import CaptureDegraded, DatabaseError, Overloaded, TookTooLong

__all__ = ["Errand"]

log = structlog.get_logger(__name__)

_IDLE_SECONDS = 10.0


class Errand:
    """Lends its session to one caller at a time. ``expect`` says in which epoch it has to be.

    ``trouble`` is why the last attempt to open one failed, in a line for operators; empty if it did not.
    """

    def __init__(
        self, open_session: Callable[[], Awaitable[tuple[Session, Identity]]], waiting: int, timeout: float
    ) -> None:
        self._open = open_session
        self._most_waiting = waiting
        self._timeout_ms = round(timeout * 1000)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._session: Session | None = None
        self._epoch: Epoch | None = None
        self._expected: Epoch | None = None
        self._idle: asyncio.TimerHandle | None = None
        self.trouble = ""

    def expect(self, epoch: Epoch | None) -> None:
        """From now on only a session of ``epoch`` will do; None: the relay has no connection, so nobody is served."""
        self._expected = epoch
        self.trouble = ""
        if epoch is None:
            # What took the other sessions may have taken this one; it would only be found out by the next caller.
            self._epoch = None

    @contextlib.asynccontextmanager
    async def session(self, doing: str) -> AsyncIterator[Session]:
        """A session for ``doing`` something. Raises Overloaded, CaptureDegraded; DatabaseError if a statement fails."""
        if self._waiting >= self._most_waiting:
            raise Overloaded(doing)
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            session = await self._ready()
            try:
                yield session
            except psycopg.errors.QueryCanceled:
                raise TookTooLong(doing, self._timeout_ms / 1000) from None
            except psycopg.Error as error:
                raise fault(error, doing) from None
            except asyncio.CancelledError:
                # What the connection is in the middle of is anybody's guess.
                await self._drop()
                raise
        finally:
            self._turn.release()
            self._rest()

    @contextlib.asynccontextmanager
    async def snapshot(self, doing: str) -> AsyncIterator[Session]:
        """A session in a repeatable read, read-only transaction with a statement timeout."""
        async with self.session(doing) as session:
            await session.fetch(queries.BEGIN_SNAPSHOT)
            try:
                await session.fetch(queries.LIMIT_TIME, {"ms": str(self._timeout_ms)})
                yield session
            finally:
                await session.rollback()
            await session.settle()

    async def close(self, *, patience: float = 0.0) -> None:
        """Close the session. Callers that wait get another one, unless nobody is served any more.

        Whoever uses it has ``patience`` seconds to end: a statement that is being cancelled ends by itself, and with a
        word from the driver if its session is closed first.
        """
        if self._idle is not None:
            self._idle.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience), self._turn:
                pass
        await self._drop()

    async def _ready(self) -> Session:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._expected is None:
            raise CaptureDegraded("the connection to Postgres is down; the relay is reconnecting")
        if self._session is not None and (self._session.closed or self._epoch != self._expected):
            await self._drop()
        if self._session is None:
            try:
                session, identity = await self._open()
            except DatabaseError as error:
                # A standby by now, another outbox: the lasting sessions meet that too, and see to it. Not so a changed
                # password, or that there are no more connections to be had.
                if self.trouble != str(error):
                    log.error("session_refused", reason=str(error))
                self.trouble = str(error)
                raise CaptureDegraded(f"no session for what clients ask: {error}") from None
            if identity.epoch != self._expected:
                await session.close()
                raise CaptureDegraded("a new session reached another server; the relay is reconnecting")
            self._session, self._epoch = session, identity.epoch
            self.trouble = ""
        return self._session

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.abort()
            await session.close()

    def _rest(self) -> None:
        if self._session is not None and not self._waiting:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._expire)

    def _expire(self) -> None:
        self._idle = None
        if not self._turn.locked() and self._session is not None:
            # libpq closes without waiting for anything, so a timer may do it.
            self._session.connection.pgconn.finish()
            self._session = None
