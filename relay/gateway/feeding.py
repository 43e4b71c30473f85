"""Bring one subscription from hold to live: replay or snapshot first, then what was held, then the stream.

While it is on hold, live events wait in a bounded buffer of the hub. If they overflow it, or the hub finds
that history is broken, everything sent so far is void: the client is told ``resync`` and the snapshot is
taken again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from relay import metrics
from relay.capture.snapshot import Snapshot
from relay.errors import CaptureDegraded, DatabaseUnreachable, Overloaded, RelayError, TookTooLong
from relay.gateway.peer import Peer
from relay.gateway.resuming import Replay
from relay.gateway.services import Services
from relay.messages.frames import Resync
from relay.routing.groups import Subscription
from relay.routing.view import View

__all__ = ["Active", "Feeder", "resync"]

#: Rows of the snapshot after a resync when the subscribe asked for none.
RESYNC_ROWS = 100
#: Held messages at or below this many, and so many bytes, leave with the release; more are first sent at the client's
#: pace. All at once they would count as live, and a client with large rows would be taken for a slow one.
RELEASE_AT_ONCE = 100
RELEASE_BYTES = 65536
#: Snapshots taken again in a row before the client is told to come back later.
ATTEMPTS = 5


@dataclass(slots=True, eq=False)
class Active:
    """One channel that a connection is subscribed to.

    ``filter``: as the client sent it. ``rows``: the snapshot size the subscribe asked for. ``void``: why
    what the client has is worth nothing until the next snapshot, or empty.
    """

    name: str
    view: View
    filter: Any
    subscription: Subscription
    rows: int
    void: str = ""


class Feeder:
    """Feeds the subscriptions of one connection, one after the other.

    ``is_current`` says whether a subscription still holds after an await; ``stop`` ends one whose snapshot
    failed.
    """

    def __init__(
        self,
        peer: Peer,
        services: Services,
        *,
        is_current: Callable[[Active], bool],
        stop: Callable[[Active, RelayError], None],
    ) -> None:
        self._peer = peer
        self._services = services
        self._is_current = is_current
        self._stop = stop

    def void(self, voided: Sequence[Active], reason: str) -> None:
        """Tell the client that these channels are void; somebody has to ``fill`` them afterwards."""
        for active in voided:
            active.void = reason
        self._peer.send(resync(voided, reason))

    async def replay(self, active: Active, replay: Replay) -> None:
        """Send what was missed and go live; if that fails half-way, a snapshot makes up for it."""
        await self._tell(active, replay.messages)
        await self._release(active, replay.floors)
        if active.void:
            await self.fill(active)

    async def fill(self, active: Active) -> None:
        """Send a snapshot, if one was asked for or the channel is void, and go live.

        Raises CaptureDegraded, DatabaseUnreachable, Overloaded: for the whole connection to come back later.
        """
        for _ in range(ATTEMPTS):
            if not self._is_current(active):
                return
            rows = active.rows or (RESYNC_ROWS if active.void else 0)
            active.void = ""
            floors: tuple[Snapshot, ...] = ()
            if rows:
                self._services.hub.hold(active.subscription)
                try:
                    page = await self._services.snapshots.page(active.view, rows)
                except RelayError as error:
                    if _passes(error):
                        raise
                    if self._is_current(active):
                        self._stop(active, error)
                    return
                await self._tell(active, [page.message])
                floors = (page.snapshot,)
            await self._release(active, floors)
            if not active.void:
                return
        self._peer.goodbye("too_slow")

    async def _release(self, active: Active, floors: tuple[Snapshot, ...]) -> None:
        """Go live, sending first, at the client's pace, what was held. Leaves ``active.void`` set if it was
        in vain."""
        hub, subscription = self._services.hub, active.subscription
        while self._is_current(active) and not active.void:
            live = _few(subscription)
            messages = (hub.release if live else hub.take)(subscription, floors=floors)
            if messages is None:
                self.void([active], "overtaken")
            elif live:
                self._peer.send(*messages)
                return
            else:
                await self._tell(active, messages)

    async def _tell(self, active: Active, messages: Sequence[bytes]) -> None:
        """Send what was fetched, for as long as it is still true and still the client's to see."""
        await self._peer.send_all(messages, wanted=lambda: self._is_current(active) and not active.void)


def _few(subscription: Subscription) -> bool:
    """Whether what is held is little enough to be sent at once."""
    held = subscription.held or ()
    size = sum(len(message) for _, message in held if message is not None)
    return len(held) <= RELEASE_AT_ONCE and size <= RELEASE_BYTES


def _passes(error: RelayError) -> bool:
    """Whether it is a trouble of the moment, for the whole connection to come back after, and not of one snapshot."""
    return isinstance(error, CaptureDegraded | DatabaseUnreachable | Overloaded) and not isinstance(
        error, TookTooLong
    )


def resync(voided: Sequence[Active], reason: str) -> bytes:
    """The message that tells a client to forget these channels."""
    metrics.resyncs_total.labels(reason).inc(len(voided))
    return Resync(channels=[active.name for active in voided], reason=reason).encode()
