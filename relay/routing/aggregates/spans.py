"""Rows by the minute they were created in, and their sums over windows that move on with the clock.

Each minute has a tally. Beside them stand the sums of *spans*: what lies between the beginnings of two windows. With
windows of 24 hours and 7 days, the first span is the last 24 hours, the second the six days before. A window is the
sum of the spans up to it. A row therefore touches its minute and one span, however many windows there are; and when
the clock moves on, one minute moves from each span to the next.

    7 d                          24 h                     now
     |------------ 1 ------------|----------- 0 -----------|-- 0, the future --
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal

from relay.routing.aggregates.rounding import EXACT, ZERO

__all__ = ["Spans", "Tally"]

#: When the clock leaps by more minutes than this, everything is summed up anew.
_LEAP = 1440


class Tally:
    """By class: how many rows, how many of them have a number to add up, and the sum of those."""

    __slots__ = ("numbers", "rows", "sums")

    def __init__(self, classes: int) -> None:
        self.rows = [0] * classes
        self.numbers = [0] * classes
        self.sums: list[Decimal] = [ZERO] * classes

    def add(self, kind: int, rows: int, numbers: int, total: Decimal) -> None:
        """Add to one class; negative numbers take away."""
        self.rows[kind] += rows
        if numbers:
            self.numbers[kind] += numbers
        if total:
            self.sums[kind] = EXACT.add(self.sums[kind], total)

    def merge(self, other: Tally) -> None:
        """Add all of ``other``."""
        for kind, rows in enumerate(other.rows):
            if rows or other.numbers[kind] or other.sums[kind]:
                self.add(kind, rows, other.numbers[kind], other.sums[kind])

    def part(self, other: Tally) -> None:
        """Take all of ``other`` away."""
        for kind, rows in enumerate(other.rows):
            if rows or other.numbers[kind] or other.sums[kind]:
                self.add(kind, -rows, -other.numbers[kind], EXACT.minus(other.sums[kind]))

    def of(self, kinds: Sequence[int]) -> int:
        """The rows of some classes."""
        return sum(self.rows[kind] for kind in kinds)

    def numbers_of(self, kinds: Sequence[int]) -> int:
        """The numbers of some classes."""
        return sum(self.numbers[kind] for kind in kinds)

    def sum_of(self, kinds: Sequence[int]) -> Decimal:
        """The sum of some classes."""
        total = ZERO
        for kind in kinds:
            total = EXACT.add(total, self.sums[kind])
        return total


class Spans:
    """``windows``: lengths in minutes. A window holds every minute from its beginning on, the future included."""

    def __init__(self, windows: Sequence[int], classes: int, minute: int) -> None:
        self._lengths = sorted(set(windows))
        self._classes = classes
        self._minutes: dict[int, Tally] = {}
        self._start_at(minute)
        self._spans = [Tally(classes) for _ in self._lengths]

    def _start_at(self, minute: int) -> None:
        self.minute = minute
        # Ascending: the longest window first, whose beginning is the earliest.
        self._begins = [minute - length for length in reversed(self._lengths)]

    def add(self, minute: int, kind: int, rows: int, numbers: int, total: Decimal) -> None:
        """Add rows that were created in ``minute``. Before the longest window nothing is kept."""
        begins = self._begins
        if minute < begins[0]:
            return
        tally = self._minutes.get(minute)
        if tally is None:
            tally = self._minutes[minute] = Tally(self._classes)
        tally.add(kind, rows, numbers, total)
        self._spans[len(begins) - bisect_right(begins, minute)].add(kind, rows, numbers, total)

    def advance(self, minute: int) -> None:
        """Move the windows on to ``minute``, which must not be before the present one."""
        leap = minute - self.minute
        before = self._begins
        self._start_at(minute)
        if leap > _LEAP:
            self._sum_up()
            return
        last = len(self._lengths) - 1
        for place in range(len(self._lengths)):
            # Span 0 is that of the shortest window, whose beginning stands last.
            for passed in range(before[last - place], self._begins[last - place]):
                tally = self._minutes.get(passed)
                if tally is None:
                    continue
                self._spans[place].part(tally)
                if place == last:
                    del self._minutes[passed]
                else:
                    self._spans[place + 1].merge(tally)

    def _sum_up(self) -> None:
        minutes, self._minutes = self._minutes, {}
        self._spans = [Tally(self._classes) for _ in self._lengths]
        for minute, tally in minutes.items():
            if minute >= self._begins[0]:
                self._minutes[minute] = tally
                self._spans[len(self._begins) - bisect_right(self._begins, minute)].merge(tally)

    def window(self, length: int) -> Tally:
        """What lies in the window of ``length`` minutes."""
        whole = Tally(self._classes)
        for place in range(self._lengths.index(length) + 1):
            whole.merge(self._spans[place])
        return whole
