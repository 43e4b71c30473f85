"""The client's half of a connection: what its messages set in motion, one after the other.

Everything here runs within the callback that brought the message and returns at once; what takes time runs
elsewhere, so a client that asks for a snapshot still gets its pong. The one exception is a token that has
to wait for the keys of an identity provider: until it is checked, nothing more is read from that client.
Whatever goes wrong here ends this connection and no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from relay import metrics
from relay.errors import TokenRefused
from relay.gateway.admission import Admission, Door
from relay.gateway.connection import Connection
from relay.gateway.limits import Allowance
from relay.gateway.peer import Subscribing
from relay.gateway.websocket import WebSocket
from relay.messages import requests
from relay.messages.codes import CODES
from relay.messages.frames import Pong

if TYPE_CHECKING:
    from relay.gateway.auth import Identity
    from relay.gateway.services import Services

__all__ = ["Dialogue", "House"]

log = structlog.get_logger(__name__)


class House(Protocol):
    """What a dialogue needs of the gateway it takes place in."""

    services: Services
    door: Door

    def subscribing(self, connection: Connection) -> Subscribing:
        """The subscriptions of a connection."""

    def joined(self, connection: Connection) -> None:
        """``connection`` is authenticated and may be sent events."""

    def left(self, connection: Connection) -> None:
        """``connection`` is gone."""


class Dialogue:
    """Talks with one client from the upgrade on: the receiver of its messages."""

    __slots__ = ("_admission", "_allowance", "_house", "_waiting", "_ws", "connection")

    def __init__(self, ws: WebSocket, admission: Admission, house: House) -> None:
        self._ws = ws
        self._admission = admission
        self._house = house
        self._waiting: list[tuple[bytes, bool]] | None = None  # while a token is being checked
        self.connection = Connection(ws, house.services, admission.profile)
        self._allowance = Allowance(house.services.settings.limits.messages_per_minute, time.monotonic())

    def begin(self) -> None:
        """The connection is open: greet the client, tell it why not, or wait for its token."""
        refused, identity = self._admission.refusal, self._admission.identity
        if refused is not None:
            self.connection.fail(refused.code, str(refused))
        elif identity is None:
            seconds = self._house.services.settings.server.first_message_seconds
            self.connection.watch(seconds, self._never_came)
        else:
            self._guarded(lambda: self._accept(identity))

    def received(self, message: bytes, *, is_text: bool) -> None:
        """One message."""
        if self.connection.ended:
            return  # a client that was told to go may still be talking
        if self._waiting is not None:
            self._waiting.append((message, is_text))
        elif not self._allowance.take(time.monotonic()):
            self.connection.fail("too_many_messages")
        elif is_text:
            self._guarded(lambda: self._read(message))
        else:
            self.connection.fail("binary_frame")

    def lost(self) -> None:
        """The client is gone."""
        self.connection.forget()
        self._house.left(self.connection)

    def _never_came(self) -> None:
        self.connection.fail("token_missing")

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        # The traceback names code, not data: nothing a client sent is among its lines.
        log.error("connection failed", connection=self.connection.id, exc_info=error)
        self.connection.fail("internal")

    def _accept(self, identity: Identity) -> None:
        connection, house = self.connection, self._house
        connection.identity = self._admission.identity = identity
        grants = house.door.grants_or_end(connection)
        if grants is None:
            return
        connection.grants = grants
        connection.subscriber = house.services.hub.attach(connection)
        connection.subscriptions = house.subscribing(connection)
        connection.welcome(identity, grants, cursor=self._cursor())
        house.joined(connection)
        if connection.profile is not None:
            self._subscribe(connection.profile.on_connect(grants.channels))

    def _subscribe(self, request: requests.Subscribe | None) -> None:
        if request is not None:
            self.connection.subscriptions.subscribe(request)

    def _read(self, message: bytes) -> None:
        try:
            request = requests.parse(message)
        except requests.BadRequest as bad:
            metrics.requests_total.labels("bad").inc()
            if self._admission.identity is None and CODES[bad.code].close is None:
                self.connection.fail("token_missing", "the first message must be auth")
            else:
                self.connection.fail(bad.code, bad.message, id=bad.id)
            return
        metrics.requests_total.labels(request.type).inc()
        if isinstance(request, requests.Auth):
            self._waiting = []
            self._ws.transport.pause_reading()
            self._house.services.tasks.spawn(self._authenticate(request), failed=self._failed)
        elif self._admission.identity is None:
            self.connection.fail("token_missing", "the first message must be auth", id=request.id)
        elif isinstance(request, requests.Subscribe):
            profile = self.connection.profile
            self._subscribe(
                request if profile is None else profile.asked(request, self.connection.grants.channels)
            )
        elif isinstance(request, requests.Unsubscribe):
            self.connection.subscriptions.unsubscribe(request)
        else:
            self.connection.send(Pong(id=request.id).encode())

    async def _authenticate(self, request: requests.Auth) -> None:
        try:
            identity = await self._house.door.verify(request.token)
        except TokenRefused as refused:
            self._house.door.has_patience(self._admission.address)
            self.connection.fail(refused.code, str(refused), id=request.id)
        else:
            if not self.connection.ended:
                self._authenticated(identity, request)
        waiting, self._waiting = self._waiting, None
        if not self._ws.transport.is_closing():
            self._ws.transport.resume_reading()
        for message, is_text in waiting or ():
            self.received(message, is_text=is_text)

    def _authenticated(self, identity: Identity, request: requests.Auth) -> None:
        connection = self.connection
        if self._admission.identity is None:
            refusal = self._admission.seat.claim(self._admission.claimant(identity), time.monotonic())
            if refusal is not None:
                connection.fail(refusal.code, id=request.id)
            else:
                self._accept(identity)
        elif identity.subject != connection.identity.subject:
            connection.fail("subject_changed", id=request.id)
        else:
            connection.identity = identity
            grants = self._house.door.grants_or_end(connection)
            if grants is not None:
                connection.welcome(identity, grants, cursor=self._cursor())
                connection.subscriptions.regrant(grants)

    def _cursor(self) -> str | None:
        position = self._house.services.hub.position
        return None if position is None else position.cursor
