"""A real gateway on a real socket, with a hub and a database that only pretend."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import jwt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from relay.capture.batch import CaptureStatus
from relay.config import Settings
from relay.errors import CaptureDegraded
from relay.gateway.auth import Authenticator
from relay.gateway.connection import Connection
from relay.gateway.limits import Limits
from relay.gateway.server import Gateway
from relay.gateway.tasks import Tasks
from relay.messages import requests
from relay.messages.frames import Checkpoint, Subscribed, SubscribedChannel, Unsubscribed
from relay.routing.outlet import Bundle

if TYPE_CHECKING:
    from relay.gateway.services import Services

__all__ = [
    "AUDIENCE",
    "SECRET",
    "FakeCapture",
    "FakeHub",
    "Room",
    "ask",
    "free_port",
    "make_settings",
    "make_token",
    "opened",
    "read_all",
    "status",
]

SECRET = "a secret that is long enough for HS256, made for tests alone"
AUDIENCE = "payment-relay"
PATH = "/ws/payment-monitoring/"


def make_token(subject: str = "ada", *, secret: str = SECRET, lives: float = 3600, **claims: Any) -> str:
    """A token for ``subject`` that is good for ``lives`` seconds; a claim given as None is left out."""
    now = time.time()
    payload = {"sub": subject, "aud": AUDIENCE, "iat": now - 1, "exp": now + lives} | claims
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, secret, algorithm="HS256")


def make_settings(**sections: Mapping[str, Any]) -> Settings:
    """Settings of a gateway on a free port without an operations address, with ``sections`` over them."""
    base: dict[str, dict[str, Any]] = {
        "database": {"dsn": "postgresql://nowhere"},
        "server": {"port": 0, "ops_port": 0, "drain_seconds": 5, "heartbeat_seconds": 3600},
        "auth": {"algorithms": ["HS256"], "secrets": [SECRET], "audience": AUDIENCE, "leeway_seconds": 0},
    }
    for name, section in sections.items():
        base[name] = base.get(name, {}) | dict(section)
    return Settings.model_validate(base)


def status(ok: bool, reason: str = "") -> CaptureStatus:
    """What the capture side reports of itself."""
    return CaptureStatus(ok, datetime.now(UTC), reason)


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

    def heartbeat(self, subscribers: Sequence[Connection]) -> None:
        self.beats.append(list(subscribers))
        assert self.position is not None
        bundle = Bundle([Checkpoint(cursor=self.position.cursor, as_of=self.position.as_of).encode()])
        for outlet in subscribers:
            outlet.offer(bundle)

    def capture_status(self, frame: bytes) -> None:
        self.publish(frame)


class FakeCapture:
    """Polls as often as it is asked, unless it is degraded or stuck."""

    def __init__(self) -> None:
        self.polls = 0
        self.degraded = False
        self.stuck = False

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


@dataclass
class FakeServices:
    """The services a gateway uses, of the same names."""

    settings: Settings
    hub: FakeHub
    capture: FakeCapture
    policies: FakePolicies
    authenticator: Authenticator
    limits: Limits
    tasks: Tasks


@dataclass
class Room:
    """A gateway that listens, and everything it was built from."""

    gateway: Gateway
    services: FakeServices

    @property
    def hub(self) -> FakeHub:
        return self.services.hub

    @property
    def port(self) -> int:
        return self.gateway.port

    def url(self, query: str = "") -> str:
        return f"ws://127.0.0.1:{self.port}{PATH}{query}"

    def client(self, *, token: str | None = "", **options: Any) -> connect:
        """A client of this gateway, with a fresh good token unless another, or None, is given."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token or make_token()}"
        query = options.pop("query", "")
        # A test that leaves a client with unread messages does not wait for its closing handshake.
        options.setdefault("close_timeout", 0.2)
        return connect(self.url(query), additional_headers=headers, compression=None, **options)


@contextlib.asynccontextmanager
async def opened(
    settings: Settings | None = None, *, subscribing: Callable[..., Any] = FakeSubscriptions
) -> AsyncIterator[Room]:
    """A gateway for the length of a test. Its pulse runs; it is drained at the end."""
    settings = settings or make_settings()
    group = asyncio.TaskGroup()
    services = FakeServices(
        settings,
        FakeHub(),
        FakeCapture(),
        FakePolicies(),
        Authenticator(settings.auth),
        Limits(settings.limits),
        Tasks(group),
    )
    gateway = Gateway(cast("Services", services), subscribing=subscribing)
    await gateway.start()  # outside of the group: what stops a start comes out as it is
    async with group:
        pulse = group.create_task(gateway.run())
        try:
            yield Room(gateway, services)
        finally:
            pulse.cancel()
            await gateway.drain()


async def read_all(client: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """Every message until the server ends the connection, and the close code it gave."""
    messages = []
    try:
        while True:
            messages.append(json.loads(await client.recv()))
    except ConnectionClosed as closed:
        if closed.rcvd is None:
            raise AssertionError("the server cut the connection without a close frame") from None
        return messages, closed.rcvd.code


async def ask(port: int, request: str, *, headers: str = "") -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in lower case) and body of the answer to ``request``, as ``GET /path``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n".encode())
        raw = await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split(" ")[1]), fields, body


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
