"""The last batches, kept so that a client that was away for a moment is served without SQL.

Resuming from here is right when four things hold (they are checked in :meth:`Ring.since`):

1. *Nothing the client misses lies before the ring.* The cursor covers the ring's base, the position just before its
   oldest batch; what a cursor does not see therefore arrived after the base, and is in the ring or still to come.
2. *The cursor says nothing this relay has yet to see.* The live position covers the cursor. Otherwise events that the
   client has had, from another relay, would come once more; SQL can tell them apart, the ring cannot.
3. *The cursor speaks of the same history.* After a crash ids can be given out again, so its witness, the newest row
   it covers, must be a row that this relay has read: one in the ring, or the witness of the base itself.
4. *What was folded stays folded.* Where changes are folded, a client may have had the whole of a commit as one message
   from another relay. The parts in which this relay read it would begin with what that message has overtaken.

Positions are compared in their clamped form, as cursors have it: a clamped snapshot sees every outbox row that the
full one sees. Batches before the first that the cursor covers need not be looked at: all they brought is seen by it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from relay.capture.batch import Batch
from relay.capture.cursor import Witness
from relay.capture.snapshot import Snapshot
from relay.routing.event import Prepared

__all__ = ["Ring"]


#: What a witness says of a row.
_Row = tuple[int, int, datetime]


@dataclass(frozen=True, slots=True)
class _Kept:
    prepared: Prepared
    clamped: Snapshot | None
    witness: Witness | None
    rows: tuple[_Row, ...]


class Ring:
    """At most ``capacity`` changes, in whole batches; always at least nothing."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._batches: deque[_Kept] = deque()
        self._size = 0
        self._rows: set[_Row] = set()
        self._base: tuple[Snapshot, Witness | None] | None = None

    def __len__(self) -> int:
        return self._size

    def clear(self) -> None:
        """Forget everything: history before this moment is broken."""
        self._batches.clear()
        self._rows.clear()
        self._size = 0
        self._base = None

    def add(self, prepared: Prepared, batch: Batch) -> None:
        """Keep one batch, and let go of the oldest ones that do not fit any more."""
        if self._base is None:
            # What came before is not known to be whole, and of parts of a commit neither is what comes now.
            if batch.clamped is not None:
                self._base = (batch.clamped, batch.witness)
            return
        rows = tuple((change.id, change.xid, change.at) for change in batch.changes)
        if not rows and self._batches and not self._batches[-1].rows and batch.clamped is not None:
            self._batches.pop()  # an idle relay polls, too: one empty batch says what many would
        self._batches.append(_Kept(prepared, batch.clamped, batch.witness, rows))
        self._rows.update(rows)
        self._size += len(rows)
        while self._size > self._capacity:
            self._let_go()

    def _let_go(self) -> None:
        # A part of a large commit has no position; the base may only move to one, so the parts go together.
        while self._batches:
            oldest = self._batches.popleft()
            self._size -= len(oldest.rows)
            self._rows.difference_update(oldest.rows)
            if oldest.clamped is not None:
                self._base = (oldest.clamped, oldest.witness)
                return
        self._base = None

    def since(
        self, cursor: Snapshot, witness: Witness | None, live: Snapshot, *, folded: str = ""
    ) -> list[Prepared] | None:
        """The batches that hold everything ``cursor`` does not see, oldest first; None if that cannot be shown.

        ``live`` is the full snapshot of the live position. ``folded`` names the channel they are wanted for if its
        changes are folded. The batches may hold more than what is missed.
        """
        if self._base is None or not cursor.covers(self._base[0]) or not live.covers(cursor):
            return None
        if witness != self._base[1] and (
            witness is None or (witness.id, witness.xid, witness.at) not in self._rows
        ):
            return None
        missed = []
        for kept in reversed(self._batches):
            if kept.clamped is not None and cursor.covers(kept.clamped):
                break
            if (
                folded
                and kept.clamped is None
                and any(each.channel == folded for each in kept.prepared.events)
            ):
                return None
            missed.append(kept.prepared)
        missed.reverse()
        return missed
