"""The last so many points of a trend, each of so many minutes, aligned to the clock and not to the moment."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from relay.routing.aggregates.spans import Tally

__all__ = ["Trend"]


class Trend:
    """``width``: minutes of a point; points begin at multiples of it since 1970 (UTC). The last one is not over yet.

    Rows of the future are kept until their time has come.
    """

    def __init__(self, width: int, points: int, classes: int, minute: int) -> None:
        self._width = width
        self._count = points
        self._nothing = Tally(classes)
        self._classes = classes
        self._points: dict[int, Tally] = {}
        self._last = minute // width

    def add(self, minute: int, kind: int, rows: int, numbers: int, total: Decimal) -> None:
        """Add rows that were created in ``minute``."""
        number = minute // self._width
        if number <= self._last - self._count:
            return
        tally = self._points.get(number)
        if tally is None:
            tally = self._points[number] = Tally(self._classes)
        tally.add(kind, rows, numbers, total)

    def advance(self, minute: int) -> None:
        """Move on to ``minute``."""
        last = minute // self._width
        if last != self._last:
            self._last = last
            for number in [number for number in self._points if number <= last - self._count]:
                del self._points[number]

    def points(self) -> Iterator[tuple[int, Tally]]:
        """The minute each point begins at, and what lies in it, the earliest first."""
        for number in range(self._last - self._count + 1, self._last + 1):
            yield number * self._width, self._points.get(number, self._nothing)
