"""Says when a repeated complaint may be made again."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Throttle"]


class Throttle:
    """At most one complaint a minute; the next one says how many there were."""

    def __init__(self, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._count = 0
        self._last: float | None = None

    def due(self) -> int | None:
        """Count one. The number since the last complaint if it is time for another, else None."""
        self._count += 1
        now = self._clock()
        if self._last is not None and now - self._last < self._seconds:
            return None
        self._last = now
        count, self._count = self._count, 0
        return count
