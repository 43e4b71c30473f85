"""What the connections to one listening address have in common, and who reads what comes over one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

if TYPE_CHECKING:
    from relay.gateway.websocket import WebSocket

__all__ = ["Address", "Receiver"]


class Receiver(Protocol):
    """Who reads what a client sends, once its connection is open. Both calls return at once and never raise."""

    def received(self, message: bytes, *, is_text: bool) -> None:
        """One whole message."""

    def lost(self) -> None:
        """The connection is gone. Called once."""


@dataclass(frozen=True, slots=True)
class Address:
    """What the connections to one address have in common.

    ``decide`` answers a request, or returns None for an upgrade, which ``amend`` may still change.
    ``opened`` is called after it. ``sockets`` holds all TCP connections, at most ``most``.
    """

    decide: Callable[[WebSocket, Request], Awaitable[Response | None] | Response | None]
    opened: Callable[[WebSocket], Receiver]
    most: int
    amend: Callable[[ServerConnection, Request, Response], Response | None] | None = None
    sockets: set[WebSocket] = field(default_factory=set)
