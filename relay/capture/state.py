"""Where the reader stands, as a value: pure arithmetic on snapshots, no connection.

Ordinarily there is one position, ``prev``. A large commit takes its sources out of the main stream into a *lane*, which
reads it in pieces while the main stream goes on without those sources; the lane then catches up and joins it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from relay.capture.cursor import Cursor, Epoch, Witness
from relay.capture.snapshot import Snapshot

__all__ = ["Lane", "Marks", "State", "interval"]

Marks = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """One source of a large commit on its way. It is complete up to ``base``; when that has become the main position
    the lane joins the main stream.

    While ``target`` is set, what lies between ``base`` and it is read by id, from ``next_id`` to ``last_id``, at most
    ``width`` ids at once.
    """

    source: str
    base: Snapshot
    target: Snapshot | None = None
    next_id: int = 0
    last_id: int = -1
    width: int = 0

    def towards(self, target: Snapshot, first_id: int, last_id: int, width: int) -> Self:
        """This lane, about to read the ids of what became visible between ``base`` and ``target``."""
        return replace(self, target=target, next_id=first_id, last_id=last_id, width=width)

    def past(self, next_id: int, width: int) -> Self:
        """This lane, after everything below ``next_id``."""
        if next_id > self.last_id and self.target is not None:
            return replace(self, base=self.target, target=None, next_id=0, last_id=-1, width=0)
        return replace(self, next_id=next_id, width=width)


@dataclass(frozen=True, slots=True)
class State:
    """``prev``: what every source outside ``lanes`` is complete up to. It is the full snapshot of the last poll, and
    good only while the session that took it lives: see :meth:`clamped`.

    ``witness`` is the newest row seen; ``horizon`` what may have been pruned; ``overflow`` the end of an interval that
    turned out too large, whose sources are not known yet.
    """

    prev: Snapshot
    witness: Witness | None
    horizon: Snapshot
    lanes: tuple[Lane, ...] = ()
    overflow: Snapshot | None = None

    @property
    def lagging(self) -> frozenset[str]:
        """The sources the main stream does without for now."""
        return frozenset(lane.source for lane in self.lanes)

    @property
    def bases(self) -> tuple[Snapshot, ...]:
        """What the main stream and each lane are complete up to."""
        return (self.prev, *(lane.base for lane in self.lanes))

    @property
    def bound(self) -> int:
        """1 + the greatest id of which a durable trace exists: no lower id can be given out again after a crash."""
        return max(self.horizon.xmax, self.witness.xid + 1 if self.witness else 0)

    @property
    def clamped(self) -> Snapshot:
        """The part of ``prev`` that survives a crash, and the only part that may be published."""
        return self.prev.clamp(self.bound)

    def cursor(self, epoch: Epoch, marks: Marks) -> Cursor:
        """The position as clients may keep it."""
        return Cursor.of(epoch, self.clamped, self.witness, marks)

    def saw(self, newest: Witness | None) -> Self:
        """The same, after rows have been seen of which ``newest`` is the newest."""
        if newest is None or (self.witness and newest.order <= self.witness.order):
            return self
        return replace(self, witness=newest)

    def after_reconnect(self) -> Self:
        """What is left of this position without the session that took it. Lanes begin again at their base."""
        bound = self.bound
        lanes = tuple(Lane(lane.source, lane.base.clamp(bound)) for lane in self.lanes)
        return replace(self, prev=self.prev.clamp(bound), lanes=lanes, overflow=None)

    def with_lane(self, old: Lane, new: Lane | None) -> Self:
        """``old`` has moved on to ``new``, or (None) has joined the main stream."""
        lanes = tuple(new if lane is old else lane for lane in self.lanes)
        return replace(self, lanes=tuple(lane for lane in lanes if lane is not None))


def interval(base: Snapshot, target: Snapshot) -> dict[str, object]:
    """Parameters of the statements that read what ``target`` sees and ``base`` does not."""
    return {
        "xmax": str(base.xmax),
        "xip": [str(xid) for xid in sorted(base.xip) if target.sees(xid)],
        "until": str(target.xmax),
        "target": str(target),
    }
