"""Waiting longer and longer between attempts, with jitter so that relays do not come back in step."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """Pauses of ``initial`` seconds, doubling up to ``longest``, each shortened at random by up to a half."""

    def __init__(self, initial: float, longest: float, chance: Callable[[], float] = random.random) -> None:
        self._initial = initial
        self._longest = longest
        self._chance = chance
        self._attempts = 0

    def next(self) -> float:
        """The length of the next pause, in seconds."""
        # The exponent is bounded: after a weekend of attempts 2**attempts would be no float any more.
        whole = min(self._longest, self._initial * 2.0 ** min(self._attempts, 32))
        self._attempts += 1
        return whole * (1 - self._chance() / 2)

    def reset(self) -> None:
        """It worked; begin with the shortest pause again."""
        self._attempts = 0

    async def pause(self) -> None:
        """Wait for :meth:`next`."""
        await asyncio.sleep(self.next())
