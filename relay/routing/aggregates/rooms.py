"""The rooms of all aggregates: every batch goes to those whose tables it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from relay.capture.batch import Batch
from relay.routing.aggregates.aggregate import Aggregate
from relay.routing.aggregates.room import Room

__all__ = ["Aggregates"]


class Aggregates:
    """All aggregates of a relay, by name. ``on_owed`` is called when a screen is owed something out of turn."""

    def __init__(self, aggregates: Mapping[str, Aggregate]) -> None:
        self.on_owed: Callable[[], None] = lambda: None
        self._degraded: datetime | None = None
        self._rooms = {name: Room(each) for name, each in aggregates.items()}
        self._index()

    def _index(self) -> None:
        self._by_source: dict[str, list[Room]] = {}
        for room in self._rooms.values():
            for source in room.aggregate.sources:
                self._by_source.setdefault(source, []).append(room)

    def __iter__(self) -> Iterator[Room]:
        return iter(list(self._rooms.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._rooms

    def __getitem__(self, name: str) -> Room:
        return self._rooms[name]

    def get(self, name: str) -> Room | None:
        """The room of an aggregate, if there is one."""
        return self._rooms.get(name)

    @property
    def screens(self) -> int:
        """The number of subscriptions to aggregates."""
        return sum(room.screens for room in self._rooms.values())

    def publish(self, batch: Batch) -> None:
        """Bring one batch to all rooms it concerns."""
        if batch.gap is not None:
            for room in self._rooms.values():
                # What follows a gap in the same batch belongs to a history whose beginning is not known.
                if any(map(batch.gap.touches, room.aggregate.sources)):
                    room.recount(batch.gap.reason)
        for change in batch.changes:
            for room in self._by_source.get(change.source, ()):
                room.hear(change)
        for room in self._rooms.values():
            room.publish(batch)

    def recount(self, reason: str) -> None:
        """Nothing that is known holds any more. After a lost session, too: what a crashed server then tells need not
        go on from here."""
        for room in self._rooms.values():
            room.recount(reason)

    def replace(self, aggregates: Mapping[str, Aggregate]) -> None:
        """Go on with other aggregates. What is declared as before keeps its numbers; of the others nobody watches the
        new ones until they join again."""
        kept = {
            name: room
            for name, room in self._rooms.items()
            if name in aggregates and aggregates[name].view == room.aggregate.view
        }
        self._rooms = {name: kept.get(name) or Room(each) for name, each in aggregates.items()}
        self._index()
        self.capture_status(degraded=self._degraded)

    def capture_status(self, *, degraded: datetime | None) -> None:
        """From ``degraded`` on some table is not captured whole; None: all are."""
        self._degraded = degraded
        for room in self._rooms.values():
            room.degraded = degraded
