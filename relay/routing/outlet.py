"""The narrow door between the hub and whatever carries messages to a client.

The hub knows no socket and no event loop: it hands bundles to an outlet and never waits. What an outlet does with a
bundle that does not fit any more (say goodbye, close) is the outlet's own business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

__all__ = ["Bundle", "Outlet"]


class Bundle:
    """Messages that leave in one write. Connections that are owed the same messages share one bundle."""

    __slots__ = ("_translated", "_wire", "messages")

    def __init__(self, messages: Sequence[bytes]) -> None:
        self.messages = tuple(messages)
        self._wire: bytes | None = None
        self._translated: tuple[object, Bundle] | None = None

    def wire(self, frame: Callable[[bytes], bytes]) -> bytes:
        """The bytes of all messages, each framed by ``frame``; framed at the first call and then kept.

        One framing per bundle is the point of it, so every caller must bring the same ``frame``.
        """
        if self._wire is None:
            self._wire = b"".join(map(frame, self.messages))
        return self._wire

    def translated(self, translate: Callable[[Sequence[bytes]], Sequence[bytes]]) -> Bundle:
        """The same in other words, translated at the first call and then kept for all who bring that ``translate``."""
        if self._translated is None or self._translated[0] != translate:
            self._translated = (translate, Bundle(translate(self.messages)))
        return self._translated[1]


class Outlet(Protocol):
    """What the hub needs of a connection. Both calls return at once and never raise."""

    def offer(self, bundle: Bundle) -> bool:
        """Send ``bundle``. False: this outlet is full or gone, and the hub should forget it."""

    def resync(self, channels: frozenset[str], reason: str) -> None:
        """What was sent on ``channels`` is void. They are on hold already; the outlet fetches them anew."""
