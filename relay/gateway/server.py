"""The gateway: listens, lets clients in, keeps their pulse, and sees them out.

Two addresses: the public one for WebSocket and pages, and one for operators. Both are served by the WebSocket
library, which reads one request per TCP connection and either upgrades it or sends one answer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from websockets.asyncio.server import Server

from relay import metrics
from relay.errors import ConfigError
from relay.gateway import tls
from relay.gateway.address import Address, Receiver
from relay.gateway.admission import Door
from relay.gateway.api import Api
from relay.gateway.connection import Connection
from relay.gateway.dialogue import Dialogue
from relay.gateway.drain import drain
from relay.gateway.heartbeat import Heartbeat
from relay.gateway.listening import TLS_SECONDS, allow_files, listen
from relay.gateway.operations import Operations
from relay.gateway.pages import Pages
from relay.gateway.peer import Subscribing
from relay.gateway.routes import Routes, amend
from relay.gateway.websocket import WebSocket
from relay.messages.frames import CaptureStatus
from relay.resources import web_directory

if TYPE_CHECKING:
    from relay.capture.source import CaptureStatus as Status
    from relay.gateway.services import Services

__all__ = ["Gateway"]

#: TCP connections to the operations address at a time.
OPERATORS = 100
#: Why capture is degraded, for clients.
_DOWN = "the database cannot be read"
_PARTIAL = "some changes cannot be shown in full"

log = structlog.get_logger(__name__)


class Gateway:
    """All client connections of one relay. ``subscribing`` makes the subscriptions of one connection."""

    def __init__(
        self, services: Services, *, subscribing: Callable[[Connection, Services], Subscribing]
    ) -> None:
        self._subscribing = subscribing
        self.services = services
        self.door = Door(services)
        pages = Pages(web_directory(), token_url=services.settings.dashboard.token_url)
        self._routes = Routes(services, self.door, pages, Api(self))
        self._connections: set[Connection] = set()
        self._everybody: set[Connection] = set()  # those too who have not shown a token yet
        self._public = Address(
            decide=self._routes,
            amend=amend,
            opened=self._opened,
            most=2 * services.settings.limits.connections,
        )
        self._operations = Address(decide=Operations(self.unready), opened=_never, most=OPERATORS)
        self._empty = asyncio.Event()
        self._empty.set()
        self._heartbeat = Heartbeat(services, lambda: self._connections)
        self._servers: list[Server] = []
        self._tls: ssl.SSLContext | None = None
        self._status = CaptureStatus(status="ok", since=datetime.now(UTC))
        self._partial_since: datetime | None = None
        self._why = ""

    # What the daemon calls.

    async def start(self) -> None:
        """Listen on both addresses. Raises ConfigError when one of them cannot be had."""
        server = self.services.settings.server
        self._tls = tls.context(server)
        allow_files(self.services.settings.limits.connections)
        public = await listen(
            "server.port",
            server.host,
            server.port,
            address=self._public,
            max_size=self.services.settings.limits.message_bytes,
            ssl=self._tls,
            ssl_handshake_timeout=TLS_SECONDS if self._tls else None,
        )
        self._servers.append(public)
        if server.ops_port:
            try:
                operations = await listen(
                    "server.ops_port",
                    server.ops_host,
                    server.ops_port,
                    address=self._operations,
                )
            except ConfigError:
                public.close(close_connections=False)
                await public.wait_closed()
                raise
            self._servers.append(operations)
        # Asked at each scrape: while degraded nothing else would keep the lag growing.
        metrics.capture_lag_seconds.set_function(self._lag)
        metrics.subscriptions.set_function(
            lambda: self.services.hub.subscriptions + self.services.aggregates.screens
        )

    async def run(self) -> None:
        """Keep the pulse of all connections, until cancelled."""
        await self._heartbeat.run()

    @property
    def port(self) -> int:
        """The public port, also where the settings left the choice to the system."""
        return int(self._servers[0].sockets[0].getsockname()[1])

    @property
    def connections(self) -> frozenset[Connection]:
        """The authenticated connections."""
        return frozenset(self._connections)

    def _lag(self) -> float:
        position = self.services.hub.position
        return 0.0 if position is None else (datetime.now(UTC) - position.as_of).total_seconds()

    def unready(self) -> str | None:
        """Why no new client should be sent here, or None."""
        if self._routes.draining:
            return "draining"
        if self._status.status == "degraded":
            return f"capture degraded: {self._why}"
        if trouble := self.services.capture.trouble:
            return f"no new session for snapshots and replays: {trouble}"
        return None

    def capture_status(self, status: Status) -> None:
        """Tell every client that the capture side went down or came back."""
        if status.ok:
            frame = CaptureStatus(status="ok", since=status.since)
        else:
            # The reason itself names hosts, roles and tables: it is for the log and for /readyz.
            frame = CaptureStatus(
                status="degraded", since=status.since, reason=_DOWN if status.down else _PARTIAL
            )
        self._status = frame
        self._why = status.reason
        metrics.capture_up.set(status.ok)
        if status.ok:
            self._partial_since = None
        elif not status.down:  # what cannot be read at all does not move on anyway
            self._partial_since = self._partial_since or status.since
        self.services.aggregates.capture_status(degraded=self._partial_since)
        self.services.hub.capture_status(frame.encode(), degraded=self._partial_since)

    def reloaded(self) -> None:
        """The services hold new settings: apply them to what comes and to who is here."""
        if self._tls is not None:
            try:
                tls.reload_certificate(self._tls, self.services.settings.server)
            except ConfigError as error:
                log.error("certificate not renewed", error=str(error))
        self.services.limits.reconfigure(self.services.settings.limits)
        self.door.reloaded()
        for connection in list(self._connections):
            self._review(connection, regrant=True)

    def revoked(self) -> None:
        """The revocations were read again: end the connections that they are about."""
        for connection in list(self._connections):
            self._review(connection, regrant=False)

    async def drain(self) -> None:
        """Take nobody in any more, say goodbye to all, and return when they are gone or the time is up."""
        self._routes.draining = True
        # The library leaves connections alone: it would close them with a code of its own. The operations
        # address stays to the last, for /readyz to say why no client should be sent here.
        self._servers[0].close(close_connections=False)
        try:
            async with asyncio.timeout(self.services.settings.server.drain_seconds):
                await drain(self._everybody, self._empty)
                await self._servers[0].wait_closed()
        except TimeoutError:
            log.warning("clients cut off at the end of the drain", connections=len(self._public.sockets))
        for server in self._servers:
            server.close(close_connections=False)
        for ws in self._public.sockets | self._operations.sockets:
            ws.transport.abort()
        for server in self._servers:
            await server.wait_closed()

    def abort(self) -> None:
        """Close everything at once, without a word. For a relay that is cancelled; after a drain it does
        nothing."""
        for ws in self._public.sockets | self._operations.sockets:
            ws.transport.abort()
        for server in self._servers:
            server.server.close()

    # What a dialogue, and the API, need of the house they take place in.

    @property
    def draining(self) -> bool:
        """Whether nobody is let in any more."""
        return self._routes.draining

    def subscribing(self, connection: Connection) -> Subscribing:
        """The subscriptions of a connection."""
        return self._subscribing(connection, self.services)

    def joined(self, connection: Connection) -> None:
        """``connection`` is authenticated and may be sent events."""
        self._connections.add(connection)
        if connection.lasting:
            metrics.connections_total.inc()
        metrics.connections.set(len(self._connections))
        # A poll is told as well that all is right: it cannot have heard when that changed.
        if self._status.status == "degraded" or not connection.lasting:
            connection.send(self._status.encode())

    def arrived(self, connection: Connection) -> None:
        """``connection`` has to be told when the relay goes."""
        self._everybody.add(connection)
        self._empty.clear()

    def left(self, connection: Connection) -> None:
        """``connection`` is gone."""
        self._everybody.discard(connection)
        self._connections.discard(connection)
        metrics.connections.set(len(self._connections))
        if not self._everybody:
            self._empty.set()

    def _opened(self, ws: WebSocket) -> Dialogue:
        assert ws.admission is not None
        dialogue = Dialogue(ws, ws.admission, self)
        self.arrived(dialogue.connection)
        dialogue.begin()
        return dialogue

    def _review(self, connection: Connection, *, regrant: bool) -> None:
        """Whether ``connection`` may go on, and with what."""
        if connection.ended:
            return
        grants = self.door.grants_or_end(connection)
        if grants is not None and regrant:
            connection.subscriptions.regrant(grants)


def _never(_: WebSocket) -> Receiver:
    raise AssertionError("the operations address never upgrades")
