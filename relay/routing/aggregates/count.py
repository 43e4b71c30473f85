"""One count, from the moment it is begun: what was found in SQL, and every change that it did not show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from relay.capture.change import Change
from relay.capture.snapshot import Snapshot
from relay.routing.aggregates.aggregate import Aggregate
from relay.routing.aggregates.engine import Engine, Recount
from relay.routing.aggregates.minutes import minute_at

__all__ = ["Count"]

#: Changes that may come while the snapshot is being taken, which is one question to Postgres.
_WAITING: Final = 50_000


class Count:
    """Made before the snapshot is taken: from then on it hears every change, so none falls in between.

    Until the snapshot is known changes wait. Those that it shows are dropped by transaction id; all others move the
    engine at once, while the rows found in SQL are still being added: sums do not mind the order.
    """

    def __init__(self, aggregate: Aggregate) -> None:
        self._aggregate = aggregate
        self._waiting: list[Change] = []
        self._floor: Snapshot | None = None
        self._since: datetime | None = None
        self._loaded = False
        self.engine: Engine | None = None
        self.minute = 0

    @property
    def whole(self) -> bool:
        """Whether the engine holds everything up to what was published last."""
        return self._loaded and self._floor is None

    def hear(self, change: Change) -> None:
        """A change was published. Raises Recount."""
        if self.engine is None:
            if len(self._waiting) >= _WAITING:
                raise Recount("overflow")
            self._waiting.append(change)
        elif self._floor is None or not self._floor.sees(change.xid):
            self.engine.apply(change)

    def begin(self, snapshot: Snapshot, now: datetime) -> None:
        """What is found in SQL shows ``snapshot``, at ``now``. Raises Recount."""
        self._floor, self._since, self.minute = snapshot, now, minute_at(now)
        self.engine = self._aggregate.engine(self.minute)
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            self.hear(change)

    def load(self, part: str, rows: Sequence[Sequence[Any]]) -> None:
        """Some rows that were found. Raises Recount."""
        assert self.engine is not None
        self.engine.load(part, rows)

    def finish(self) -> None:
        """All rows were found."""
        self._loaded = True

    def settle(self, snapshot: Snapshot, as_of: datetime) -> bool:
        """Everything up to ``snapshot`` has been published. True: the engine holds it, as of ``as_of``. Raises Recount.

        Where the clock of the server went back, windows would have to grow again by what was forgotten.
        """
        if not self._loaded or self.engine is None:
            return False
        if self._floor is not None:
            assert self._since is not None
            # As late as the count itself: a poll of before may have the same snapshot and an earlier minute.
            if as_of < self._since or not snapshot.covers(self._floor):
                return False
            self._floor = None
        minute = minute_at(as_of)
        if minute < self.minute:
            raise Recount("clock")
        if minute > self.minute:
            self.engine.advance(minute)
            self.minute = minute
        return True
