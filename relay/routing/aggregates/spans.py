"""Rows by the minute they were created in, and their sums over windows that move on with the clock.

Each minute has its sums. Beside them stand the sums of *spans*: what lies between the beginnings of two windows. With
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
    """``windows``: lengths in minutes. A window holds every minute from its beginning on, the future included.

    What is kept of a minute and a class is a tuple of plain numbers, for a month of minutes as objects of their own
    would cost every full run of the garbage collector fifty milliseconds.
    """

    def __init__(self, windows: Sequence[int], classes: int, minute: int) -> None:
        self._lengths = sorted(set(windows))
        self._classes = classes
        self._cells: dict[int, tuple[int, int, Decimal]] = {}  # by minute * classes + class
        self._start_at(minute)
        self._spans = [Tally(classes) for _ in self._lengths]

    def _start_at(self, minute: int) -> None:
        self.minute = minute
        # Ascending: the longest window first, whose beginning is the earliest.
        self._begins = [minute - length for length in reversed(self._lengths)]

    def _span(self, minute: int) -> Tally:
        return self._spans[len(self._begins) - bisect_right(self._begins, minute)]

    def add(self, minute: int, kind: int, rows: int, numbers: int, total: Decimal) -> None:
        """Add rows that were created in ``minute``. Before the longest window nothing is kept."""
        if minute < self._begins[0]:
            return
        self._span(minute).add(kind, rows, numbers, total)
        place = minute * self._classes + kind
        if (cell := self._cells.get(place)) is not None:
            rows, numbers = rows + cell[0], numbers + cell[1]
            total = EXACT.add(total, cell[2]) if total else cell[2]
        if rows or numbers or total:
            self._cells[place] = (rows, numbers, total)
        else:
            self._cells.pop(place, None)

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
            first, end = before[last - place] * self._classes, self._begins[last - place] * self._classes
            for passed in range(first, end):
                if (cell := self._cells.get(passed)) is None:
                    continue
                rows, numbers, total = cell
                kind = passed % self._classes
                self._spans[place].add(kind, -rows, -numbers, EXACT.minus(total))
                if place == last:
                    del self._cells[passed]
                else:
                    self._spans[place + 1].add(kind, rows, numbers, total)

    def _sum_up(self) -> None:
        first = self._begins[0] * self._classes
        self._cells = {place: cell for place, cell in self._cells.items() if place >= first}
        self._spans = [Tally(self._classes) for _ in self._lengths]
        for place, (rows, numbers, total) in self._cells.items():
            self._span(place // self._classes).add(place % self._classes, rows, numbers, total)

    def window(self, length: int) -> Tally:
        """What lies in the window of ``length`` minutes."""
        whole = Tally(self._classes)
        for place in range(self._lengths.index(length) + 1):
            whole.merge(self._spans[place])
        return whole
