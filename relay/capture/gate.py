"""The gate: the advisory lock K that makes writers notify while the relay sleeps.

Writers share K if they can and notify only if they cannot. A relay that wants to sleep requests K exclusively: from
then on every new writer notifies. When it is granted, every writer who had shared it has ended. The request is made
through ``relay.request_gate()``, which gives up after 900 ms and is then repeated, so that it neither fills the log of
the server nor holds a snapshot for long.

A request that is no longer wanted is left to end by itself. Cancelling it would be quicker, but a cancel may arrive
late and strike the unlock that follows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from relay.capture import queries
from relay.capture.backoff import Backoff
from relay.capture.session import Session, first_line
from relay.capture.stats import Observer, Stats
from relay.errors import DatabaseUnreachable

__all__ = ["Gate"]

log = structlog.get_logger(__name__)

_PING_SECONDS = 1.0
_PING_DEADLINE = 3.0
_REQUEST_DEADLINE = 5.0
_REFUSED_AT_ONCE = 0.5


class Gate:
    """Owns the gate session. The loop says what it wants with :meth:`ask` and :meth:`leave` and reads ``held``.

    ``alive``: there is a gate session. ``turns`` counts everything after which the loop must poll: requests that came
    back, and losses. ``ring`` tells it.
    """

    def __init__(
        self,
        session: Session,
        reopen: Callable[[], Awaitable[Session]],
        backoff: Backoff,
        stats: Stats,
        observer: Observer,
        ring: Callable[[], None],
    ) -> None:
        self.held = False
        self.requesting = False
        self.turns = 0
        self.alive = True
        self._wanted = False
        self._session = session
        self._reopen = reopen
        self._backoff = backoff
        self._stats = stats
        self._observer = observer
        self._ring = ring
        self._attention = asyncio.Event()

    @property
    def pid(self) -> int:
        """The server process of the gate session."""
        return self._session.pid

    def ask(self) -> None:
        """Request K, again and again, until it is held."""
        self._want(True)

    def leave(self) -> None:
        """Give K back, or do not request it any more."""
        self._want(False)

    def _want(self, wanted: bool) -> None:
        if wanted != self._wanted:
            self._wanted = wanted
            self._attention.set()

    async def run(self) -> None:
        """Do what is wanted, ping the session each second, and replace it when it is lost."""
        while True:
            try:
                await self._serve()
            except psycopg.Error as error:
                log.warning("gate_lost", held=self.held, why=first_line(error))
            self._stats.gate_losses += 1
            self.held = self.requesting = self.alive = False
            self._turn()
            await self._session.close()
            await self._replace()
            self.alive = True

    async def close(self) -> None:
        """End the session, and with it the lock."""
        await self._session.close()

    def abort(self) -> None:
        """End the session whatever it is doing."""
        self._session.abort()

    async def _serve(self) -> None:
        while True:
            self._attention.clear()
            if self._wanted and not self.held:
                await self._request()
            elif self.held and not self._wanted:
                # Not held from here on: the loop must not count on a lock that is on its way out.
                self.held = False
                await self._session.fetch(queries.RELEASE_GATE)
                await self._observer.released()
            else:
                # Watching the socket notices a broken connection at once, a ping one that is silently dead.
                await self._session.watch(self._attention, _PING_SECONDS)
                if self._wanted == self.held:
                    await self._session.fetch(queries.PING, deadline=_PING_DEADLINE)

    async def _request(self) -> None:
        await self._observer.requested()
        began = time.monotonic()
        self.requesting = True
        try:
            self.held = bool(await self._session.value(queries.REQUEST_GATE, deadline=_REQUEST_DEADLINE))
        finally:
            self.requesting = False
        if self.held:
            await self._observer.granted()
        self._turn()
        if not self.held and time.monotonic() - began < _REFUSED_AT_ONCE:
            # Not for want of the lock: this server does not let relays sleep. Do not ask in a tight loop.
            await self._session.watch(self._attention, _PING_SECONDS)

    def _turn(self) -> None:
        self.turns += 1
        self._ring()

    async def _replace(self) -> None:
        while True:
            await self._backoff.pause()
            try:
                self._session = await self._reopen()
            except DatabaseUnreachable as error:
                log.warning("gate_unreachable", why=str(error))
            else:
                self._backoff.reset()
                return
