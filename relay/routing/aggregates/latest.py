"""The greatest of many values that come and go: the time of the last success, the last failure with its message.

A maximum alone cannot be moved back: when its row goes, the second greatest is wanted. So the greatest few hundred are
kept, each with the number of rows that have it. Only when all of those have gone is the answer not known any more.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

from relay.config_aggregates import LATEST_KEPT
from relay.routing.aggregates.engine import Recount

__all__ = ["Latest"]

#: Different values that may come and go before it is known which ones there were.
_UNSETTLED: Final = 100_000

T = TypeVar("T", int, tuple[int, str])


class Latest(Generic[T]):
    """Rows may be taken away before they are added: a count below 0 says that the adding is still to come.

    ``kept`` different values are loaded at first, and at most twice as many are kept.
    """

    def __init__(self, kept: int = LATEST_KEPT) -> None:
        self._kept = kept
        self._counts: dict[T, int] = {}
        self._order: list[T] = []
        self._loaded = False
        #: Values below this one are not known; None: all are.
        self._lowest: T | None = None

    def add(self, value: T, rows: int) -> None:
        """``rows`` more with ``value``, or less. Raises Recount when more are unsettled than can be kept."""
        if self._lowest is not None and value < self._lowest:
            return
        count = self._counts.get(value)
        if count is None:
            self._counts[value] = rows
            insort(self._order, value)
            self._trim()
        elif count + rows:
            self._counts[value] = count + rows
        else:
            del self._counts[value]
            del self._order[bisect_left(self._order, value)]

    def load(self, found: Iterable[tuple[T, int]]) -> None:
        """The greatest values there were, with their counts: ``kept`` of them, or fewer if that is all."""
        values = list(found)
        if len(values) >= self._kept:
            lowest = min(value for value, _ in values)
            self._lowest = lowest
            below = bisect_left(self._order, lowest)
            for value in self._order[:below]:
                del self._counts[value]
            del self._order[:below]
        self._loaded = True
        for value, rows in values:
            self.add(value, rows)

    def greatest(self) -> T | None:
        """The greatest value that a row has, None if no row has any. Raises Recount when that is not known."""
        for value in reversed(self._order):
            if self._counts[value] > 0:
                return value
        if self._lowest is not None:
            raise Recount("row_unknown")
        return None

    def _trim(self) -> None:
        if not self._loaded:
            if len(self._order) > _UNSETTLED:
                raise Recount("overflow")
        elif len(self._order) > 2 * self._kept:
            for value in self._order[: -self._kept]:
                del self._counts[value]
            del self._order[: -self._kept]
            self._lowest = self._order[0]
