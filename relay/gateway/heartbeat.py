"""The pulse of all connections: one poll, then a checkpoint to everybody, every few seconds.

Each beat is preceded by a real poll, so that ``as_of`` is the truth and not a guess. A poll that does not
come back in time changes nothing for the clients: they are told the last position once more, and see from
its ``as_of`` how old it is. Now and then a beat also carries a ping; who has not been heard of for long is
let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, TypeVar

import structlog

from relay import metrics
from relay.errors import DatabaseError
from relay.gateway.connection import Connection
from relay.messages.frames import Pong

if TYPE_CHECKING:
    from relay.gateway.services import Services

__all__ = ["Heartbeat", "sliced"]

#: Seconds that the poll before a beat may take.
POLL_SECONDS = 1.0
#: Connections served before the event loop gets to breathe.
SLICE = 500
#: Seconds between pings, and of silence after which a client is taken for dead. Proxies cut idle links
#: after 60.
PING_SECONDS = 20.0
SILENCE_SECONDS = 50.0

#: For who may have no checkpoint yet.
ALIVE = Pong().encode()

T = TypeVar("T")

log = structlog.get_logger(__name__)


def sliced(items: Collection[T], size: int = SLICE) -> Iterator[list[T]]:
    """``items`` as they are now, in lists of at most ``size``."""
    everything = list(items)
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


class Heartbeat:
    """Beats for ``connections()`` until cancelled."""

    def __init__(self, services: Services, connections: Callable[[], Collection[Connection]]) -> None:
        self._services = services
        self._connections = connections
        self._never = asyncio.Event()

    async def run(self) -> None:
        """Beat for ever, at the configured interval whatever a beat takes."""
        loop = asyncio.get_running_loop()
        due = ping_due = loop.time()
        while True:
            due = max(due + self._services.settings.server.heartbeat_seconds, loop.time())
            await self._until(due)
            ping = loop.time() >= ping_due
            if ping:
                ping_due = loop.time() + PING_SECONDS
            try:
                await self.beat(ping=ping)
            except Exception:  # a pulse that stopped would look like a frozen relay to every client
                log.exception("heartbeat failed")

    async def _until(self, when: float) -> None:
        try:
            async with asyncio.timeout_at(when):
                await self._never.wait()
        except TimeoutError:
            return

    async def beat(self, *, ping: bool) -> None:
        """One poll, then one checkpoint for each connection that may have one."""
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._services.capture.poll_now()
        except (TimeoutError, DatabaseError):
            pass  # degraded: capture_status tells, and the old position is repeated
        # Between two pings a healthy client may be silent for a whole interval, however long that is.
        silence = max(SILENCE_SECONDS, 2.5 * self._services.settings.server.heartbeat_seconds)
        silent_since = asyncio.get_running_loop().time() - silence
        waiting = 0
        for some in sliced(self._connections()):
            live = [connection for connection in some if not connection.ended]
            self._services.hub.heartbeat([connection.subscriber for connection in live], alive=ALIVE)
            for connection in live:
                waiting += connection.pulse(ping=ping, silent_since=silent_since)
            await asyncio.sleep(0)
        metrics.buffered_bytes.set(waiting)
