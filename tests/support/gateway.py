"""A real gateway on a real socket, with a hub and a database that only pretend."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import jwt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from relay.capture.batch import CaptureStatus
from relay.config import Settings
from relay.gateway.auth import Authenticator
from relay.gateway.limits import Limits
from relay.gateway.server import Gateway
from relay.gateway.tasks import Tasks
from tests.support import published
from tests.support.gateway_fakes import FakeCapture, FakeHub, FakePolicies, FakeSubscriptions

if TYPE_CHECKING:
    from relay.gateway.services import Services

__all__ = [
    "AUDIENCE",
    "SECRET",
    "Room",
    "ask",
    "free_port",
    "hear",
    "make_settings",
    "make_token",
    "opened",
    "read_all",
    "say",
    "status",
    "unharmed",
    "welcome",
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


def status(ok: bool, reason: str = "", *, down: bool = False) -> CaptureStatus:
    """What the capture side reports of itself."""
    return CaptureStatus(ok, datetime.now(UTC), reason, down)


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
    aggregates: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(screens=0, capture_status=lambda degraded: None)
    )


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


async def welcome(client: ClientConnection) -> dict[str, Any]:
    """The first message of a connection."""
    message = await hear(client)
    assert message["type"] == "welcome", message
    return message


async def say(client: ClientConnection, **message: Any) -> None:
    """Send one message."""
    await client.send(json.dumps(message))


async def hear(client: ClientConnection) -> dict[str, Any]:
    """The next message."""
    message: dict[str, Any] = json.loads(await client.recv())
    assert client.request is not None
    published.check(client.remote_address[1], client.request.path, message)
    return message


async def unharmed(room: Room, client: ClientConnection) -> None:
    """Another client still gets its pong and its events."""
    await say(client, type="ping", id="still there")
    assert await hear(client) == {"type": "pong", "id": "still there"}
    room.hub.publish(b'{"type":"news"}')
    assert await hear(client) == {"type": "news"}


async def read_all(client: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """Every message until the server ends the connection, and the close code it gave."""
    messages = []
    try:
        while True:
            messages.append(await hear(client))
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
