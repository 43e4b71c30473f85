"""What the subscriptions of a connection need of it, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from relay.routing.groups import Subscriber
from relay.routing.outlet import Bundle
from relay.routing.policies import Grants

__all__ = ["Peer"]


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
