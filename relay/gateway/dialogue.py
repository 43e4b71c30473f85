"""The client's half of a connection: read its messages, one after the other, until it is gone.

A connection has one task, this one, asleep in ``recv``. What a message sets in motion runs elsewhere, so a
client that asks for a snapshot still gets its pong. Whatever goes wrong here ends this connection and no
other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from websockets.exceptions import ConnectionClosed

from relay import metrics
from relay.errors import TokenRefused
from relay.gateway.admission import Admission, Door
from relay.gateway.connection import Connection, Subscribing
from relay.gateway.limits import Allowance
from relay.gateway.websocket import WebSocket
from relay.messages import requests
from relay.messages.codes import CODES
from relay.messages.frames import Pong

if TYPE_CHECKING:
    from relay.gateway.auth import Identity
    from relay.gateway.services import Services

__all__ = ["Dialogue"]

log = structlog.get_logger(__name__)


class Dialogue:
    """Talks with one client. ``joined`` is called once, when the client is authenticated and may be sent
    events."""

    __slots__ = (
        "_admission",
        "_allowance",
        "_door",
        "_joined",
        "_services",
        "_subscribing",
        "_ws",
        "connection",
    )

    def __init__(
        self,
        ws: WebSocket,
        admission: Admission,
        *,
        door: Door,
        services: Services,
        subscribing: Callable[[Connection, Services], Subscribing],
        joined: Callable[[Connection], None],
    ) -> None:
        self._ws = ws
        self._admission = admission
        self._door = door
        self._services = services
        self._subscribing = subscribing
        self._joined = joined
        self.connection = Connection(ws, services)
        self._allowance = Allowance(services.settings.limits.messages_per_minute, time.monotonic())

    async def run(self) -> None:
        """From the upgrade to the lost connection. Never raises, never leaves the connection open."""
        connection = self.connection
        try:
            self._begin()
            await self._listen()
        except ConnectionClosed:
            pass
        except Exception:
            # The traceback names code, not data: nothing a client sent is among its lines.
            log.exception("connection failed", connection=connection.id)
            connection.fail("internal")
            await self._ws.wait_closed()
        finally:
            connection.forget()

    def _begin(self) -> None:
        refused, identity = self._admission.refusal, self._admission.identity
        if refused is not None:
            self.connection.fail(refused.code, str(refused))
        elif identity is not None:
            self._accept(identity)
        else:
            seconds = self._services.settings.server.first_message_seconds
            self.connection.watch(seconds, lambda: self.connection.fail("token_missing"))

    def _accept(self, identity: Identity) -> None:
        connection = self.connection
        connection.identity = self._admission.identity = identity
        grants = self._door.grants_or_end(connection)
        if grants is None:
            return
        connection.grants = grants
        connection.subscriber = self._services.hub.attach(connection)
        connection.subscriptions = self._subscribing(connection, self._services)
        connection.welcome(identity, grants, cursor=self._cursor())
        self._joined(connection)

    async def _listen(self) -> None:
        connection, ws = self.connection, self._ws
        while True:
            message = await ws.recv()
            if connection.ended:
                continue  # a client that was told to go may still be talking
            if not self._allowance.take(time.monotonic()):
                connection.fail("too_many_messages")
            elif isinstance(message, str):
                await self._read(message)
            else:
                connection.fail("binary_frame")

    async def _read(self, text: str) -> None:
        try:
            request = requests.parse(text)
        except requests.BadRequest as bad:
            metrics.requests_total.labels("bad").inc()
            if self._admission.identity is None and CODES[bad.code].close is None:
                self.connection.fail("token_missing", "the first message must be auth")
            else:
                self.connection.fail(bad.code, bad.message, id=bad.id)
            return
        metrics.requests_total.labels(request.type).inc()
        if isinstance(request, requests.Auth):
            await self._authenticate(request)
        elif self._admission.identity is None:
            self.connection.fail("token_missing", "the first message must be auth", id=request.id)
        elif isinstance(request, requests.Subscribe):
            self.connection.subscriptions.subscribe(request)
        elif isinstance(request, requests.Unsubscribe):
            self.connection.subscriptions.unsubscribe(request)
        else:
            self.connection.send(Pong(id=request.id).encode())

    async def _authenticate(self, request: requests.Auth) -> None:
        connection = self.connection
        try:
            identity = await self._door.verify(request.token)
        except TokenRefused as refused:
            self._door.has_patience(self._admission.address)
            connection.fail(refused.code, str(refused), id=request.id)
            return
        if connection.ended:
            return
        if self._admission.identity is None:
            refusal = self._admission.seat.claim(identity.subject, time.monotonic())
            if refusal is not None:
                connection.fail(refusal.code, id=request.id)
            else:
                self._accept(identity)
        elif identity.subject != connection.identity.subject:
            connection.fail("subject_changed", id=request.id)
        else:
            self._refresh(identity)

    def _refresh(self, identity: Identity) -> None:
        connection = self.connection
        connection.identity = identity
        grants = self._door.grants_or_end(connection)
        if grants is not None:
            connection.welcome(identity, grants, cursor=self._cursor())
            connection.subscriptions.regrant(grants)

    def _cursor(self) -> str | None:
        position = self._services.hub.position
        return None if position is None else position.cursor
