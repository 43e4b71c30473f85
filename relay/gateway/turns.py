"""The requests of one connection, worked off in the order they came, by one task that is there while there is work."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from relay.errors import CaptureDegraded, DatabaseError, DatabaseUnreachable, Overloaded
from relay.gateway.peer import Peer
from relay.gateway.tasks import Tasks

__all__ = ["Turns"]

log = structlog.get_logger(__name__)

#: Requests of one connection that may wait for their turn.
WAITING = 64


class Turns:
    """Runs steps for ``peer``, who is told when none is left, and let go where the database cannot serve one."""

    def __init__(self, peer: Peer, tasks: Tasks) -> None:
        self._peer = peer
        self._tasks = tasks
        self._steps: deque[Callable[[], Awaitable[None]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether no more requests should wait. What the relay itself owes the client is queued all the same."""
        return len(self._steps) >= WAITING

    @property
    def working(self) -> bool:
        """Whether anything is under way or waits for its turn."""
        return self._task is not None

    def queue(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run ``step`` when its turn comes."""
        if self._closed:
            return
        self._steps.append(step)
        if self._task is None:
            self._task = self._tasks.spawn(self._run(), failed=self._failed)

    def close(self) -> None:
        """Forget everything; the step under way is cancelled."""
        self._closed = True
        self._steps.clear()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._steps:
                await self._steps.popleft()()
        except Overloaded as full:
            self._peer.goodbye("overloaded", retry_after_ms=full.retry_after_ms)
        except DatabaseError as error:
            if not isinstance(error, CaptureDegraded | DatabaseUnreachable):
                log.error("replay_failed", why=str(error))
            self._peer.goodbye("capture_degraded")
        finally:
            self._task = None
            self._peer.settled()

    def _failed(self, error: Exception) -> None:
        log.error("subscription_failed", exc_info=error)
        self._peer.fail("internal")
