"""How long to wait for somebody else's commit to flush the log, before making a flush of one's own."""

from __future__ import annotations

from typing import Final

__all__ = ["Patience"]

#: Seconds. Where payments wait for their commits, the next one flushes the log, most often at once; a flush of our own
#: would make a lone writer wait for two.
PAUSES: Final = (0.001, 0.001, 0.002)
#: Where nobody waits for commits, waiting is in vain: then it is tried again only after so many flushes of our own.
LONGEST: Final = 32


class Patience:
    """Learns from how it went. Told nothing, it goes on waiting."""

    def __init__(self) -> None:
        self._without = 1
        self._left = 0

    def pauses(self) -> tuple[float, ...]:
        """Between how many looks at the log to pause for how long; none if it is not worth it this time."""
        if self._left:
            self._left -= 1
            return ()
        return PAUSES

    def rewarded(self) -> None:
        """Somebody else flushed the log."""
        self._without = 1

    def in_vain(self) -> None:
        """Nobody did in all that time."""
        self._left = self._without
        self._without = min(self._without * 2, LONGEST)
