"""Up to where everything has been published."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from relay.capture.batch import Batch
from relay.capture.cursor import Cursor
from relay.capture.snapshot import Snapshot
from relay.errors import CursorInvalid
from relay.messages import data

__all__ = ["Position"]


@dataclass(frozen=True)
class Position:
    """``cursor`` is the published form and ``clamped`` its snapshot, good for ever; ``snapshot`` is the full one, good
    while the session that took it lives. ``degraded``: since when some table is not captured whole, if one is not."""

    cursor: str
    snapshot: Snapshot
    as_of: datetime
    clamped: Snapshot
    degraded: datetime | None = None

    @classmethod
    def after(cls, batch: Batch, degraded: datetime | None) -> Position:
        """The position after a batch that has one."""
        assert batch.snapshot is not None
        clamped = batch.clamped if batch.clamped is not None else Snapshot.nothing()
        return cls(batch.cursor, batch.snapshot, batch.as_of, clamped, degraded)

    @cached_property
    def checkpoint(self) -> bytes:
        """The message that tells it to clients.

        While capture is degraded its moment stays, for what clients show may be incomplete from then on. Its cursor
        moves on: with it they let go of the ids they have seen, and those of other tables go on coming.
        """
        told = self.as_of if self.degraded is None else min(self.as_of, self.degraded)
        return data.checkpoint(self.cursor, told)

    def outlived(self) -> Position:
        """The same position, with no claim that a crash of the server could have made untrue."""
        return replace(self, snapshot=self.clamped)

    @cached_property
    def proof(self) -> Cursor | None:
        """The cursor read back, for its epoch and marks; None if it is none."""
        try:
            return Cursor.decode(self.cursor)
        except CursorInvalid:
            return None
