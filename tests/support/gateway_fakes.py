"""What a gateway is put together with in tests that need no database: all of it only pretends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from relay.errors import CaptureDegraded
from relay.gateway.connection import Connection
from relay.messages import requests
from relay.messages.frames import Checkpoint, Subscribed, SubscribedChannel, Unsubscribed
from relay.routing.outlet import Bundle

if TYPE_CHECKING:
    from relay.gateway.services import Services

__all__ = ["FakeCapture", "FakeGrants", "FakeHub", "FakePolicies", "FakeSubscriptions", "Position"]


@dataclass(frozen=True)
class Position:
    """Up to where the hub has published."""

    cursor: str
    as_of: datetime


class FakeHub:
    """Remembers who is attached and hands them whatever a test publishes."""

    def __init__(self) -> None:
        self.position: Position | None = Position("c1", datetime.now(UTC))
        self.subscribers: list[Connection] = []
        self.beats: list[list[Connection]] = []

    @property
    def subscriptions(self) -> int:
        return len(self.subscribers)

    def attach(self, outlet: Connection) -> Connection:
        self.subscribers.append(outlet)
        return outlet

    def detach(self, subscriber: Connection) -> None:
        if subscriber in self.subscribers:
            self.subscribers.remove(subscriber)

    def publish(self, *messages: bytes) -> None:
        bundle = Bundle(messages)
        self.subscribers = [outlet for outlet in self.subscribers if outlet.offer(bundle)]

    def heartbeat(self, subscribers: Sequence[Connection], *, alive: bytes) -> None:
        self.beats.append(list(subscribers))
        assert self.position is not None
        bundle = Bundle([Checkpoint(cursor=self.position.cursor, as_of=self.position.as_of).encode()])
        for outlet in subscribers:
            outlet.offer(bundle)

    def capture_status(self, frame: bytes, *, degraded: datetime | None) -> None:
        self.publish(frame)


class FakeCapture:
    """Polls as often as it is asked, unless it is degraded or stuck."""

    def __init__(self) -> None:
        self.polls = 0
        self.degraded = False
        self.stuck = False
        self.trouble = ""

    async def poll_now(self) -> None:
        self.polls += 1
        if self.degraded:
            raise CaptureDegraded("the database cannot be reached")
        if self.stuck:
            await asyncio.Event().wait()


@dataclass(frozen=True)
class FakeGrants:
    """The channels of the claim ``channels``."""

    channels: frozenset[str]


class FakePolicies:
    """Grants what the claim ``channels`` lists, and nothing at all to those without it."""

    def __init__(self) -> None:
        self.withdrawn: frozenset[str] = frozenset()

    def decide(self, claims: Mapping[str, Any]) -> FakeGrants | None:
        granted = frozenset(claims.get("channels", ["transactions"])) - self.withdrawn
        return FakeGrants(granted) if granted else None


class FakeSubscriptions:
    """Says yes to every subscribe; a channel named ``bug`` makes it raise."""

    def __init__(self, peer: Connection, _: Services) -> None:
        self.peer = peer
        self.resynced: list[tuple[frozenset[str], str]] = []
        self.closed = False
        self.working = False

    def __len__(self) -> int:
        return 1

    def subscribe(self, request: requests.Subscribe) -> None:
        if "bug" in request.channels:
            raise RuntimeError("a bug, with a token in its text: eyJhbGciOi.secret")
        one = SubscribedChannel(filter={}, view="v", resumed=False, replayed=0)
        self.peer.send(Subscribed(id=request.id, channels=dict.fromkeys(request.channels, one)).encode())

    def unsubscribe(self, request: requests.Unsubscribe) -> None:
        self.peer.send(Unsubscribed(id=request.id, channels=request.channels, reason="requested").encode())

    def on_resync(self, channels: frozenset[str], reason: str) -> None:
        self.resynced.append((channels, reason))

    def regrant(self, grants: Any) -> None:
        lost = sorted(self.peer.grants.channels - grants.channels)
        self.peer.grants = grants
        if lost:
            self.peer.send(Unsubscribed(channels=lost, reason="not_granted").encode())

    def close(self) -> None:
        self.closed = True
