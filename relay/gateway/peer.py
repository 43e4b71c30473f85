"""What a connection and its subscriptions need of each other, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from relay.messages import requests
from relay.routing.groups import Subscriber
from relay.routing.outlet import Bundle
from relay.routing.policies import Grants

__all__ = ["Peer", "Subscribing"]


class Peer(Protocol):
    """What subscriptions need of their connection."""

    grants: Grants
    subscriber: Subscriber

    @property
    def busy(self) -> bool:
        """Whether something that was written is still waiting for the client to read."""

    def offer(self, bundle: Bundle) -> bool:
        """Write ``bundle`` at once. False: the connection is full or gone."""

    def send(self, *messages: bytes) -> bool:
        """Write at once. False: the connection is full or gone."""

    async def send_all(self, messages: Sequence[bytes], *, wanted: Callable[[], bool]) -> bool:
        """Write at the client's pace, waiting for room in between, for as long as they are ``wanted``.

        False: the connection is full or gone.
        """

    def goodbye(self, code: str, *, retry_after_ms: int | None = None) -> None:
        """Tell the client why, and close with the code's close code."""

    def settled(self) -> None:
        """Everything that was asked for so far has been seen to."""

    def fail(self, code: str, message: str | None = None) -> None:
        """Tell the client what went wrong; where the table of codes says so, close."""


class Subscribing(Protocol):
    """What a connection needs of its subscriptions. Every call returns at once."""

    @property
    def working(self) -> bool:
        """Whether something that was asked for, or is owed, has not been seen to yet."""

    def __len__(self) -> int:
        """The number of channels subscribed to."""

    def subscribe(self, request: requests.Subscribe) -> None:
        """Subscribe, resume, replace."""

    def unsubscribe(self, request: requests.Unsubscribe) -> None:
        """End some."""

    def on_resync(self, channels: frozenset[str], reason: str) -> None:
        """The hub has put ``channels`` on hold."""

    def regrant(self, grants: Grants) -> None:
        """Apply what is granted from now on."""

    def close(self) -> None:
        """The connection has ended."""
