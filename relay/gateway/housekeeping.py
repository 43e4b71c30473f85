"""What a relay does besides serving: it reads revocations when told to, and prunes the outbox now and then."""

from __future__ import annotations

import asyncio

import structlog

from relay import metrics
from relay.errors import DatabaseError, Overloaded
from relay.gateway.server import Gateway
from relay.gateway.services import Services

__all__ = ["Housekeeping"]

#: Seconds after which revocations are read although nobody said so: a hint may be lost with its connection.
REREAD_SECONDS = 60.0
#: Seconds before a failed reading is tried again.
RETRY_SECONDS = 1.0
#: Batches pruned in a row; a backlog is worked off over several rounds, so that errands of clients come in between.
BATCHES = 100

log = structlog.get_logger(__name__)


class Housekeeping:
    """Runs beside the gateway. A notification is a hint to read again, never an order: NOTIFY has no privileges."""

    def __init__(self, services: Services, gateway: Gateway) -> None:
        self._services = services
        self._gateway = gateway
        self._told = asyncio.Event()
        services.capture.on_control = self._told.set

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._revocations())
            group.create_task(self._prune())

    async def read_revocations(self) -> None:
        """Read who was revoked, and end the connections that this is about. Raises DatabaseError, Overloaded."""
        rows = await self._services.capture.revocations()
        self._services.authenticator.revocations.update(rows)
        self._gateway.revoked()

    async def _revocations(self) -> None:
        wait = REREAD_SECONDS
        while True:
            await _event_or(self._told, wait)
            self._told.clear()
            wait = REREAD_SECONDS
            try:
                await self.read_revocations()
            except (DatabaseError, Overloaded) as error:
                log.warning("revocations_unread", why=str(error))
                wait = RETRY_SECONDS

    async def _prune(self) -> None:
        never = asyncio.Event()
        while True:
            await _event_or(never, self._services.settings.capture.prune_every_seconds)
            try:
                for _ in range(BATCHES):
                    if not await self._services.capture.prune():
                        break
            except (DatabaseError, Overloaded) as error:
                log.warning("prune_postponed", why=str(error))
            metrics.prunes_total.inc()


async def _event_or(event: asyncio.Event, seconds: float) -> None:
    """Return when ``event`` is set, or after ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
