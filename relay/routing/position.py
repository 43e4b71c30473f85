"""Up to where everything has been published."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from relay.capture.cursor import Cursor
from relay.capture.snapshot import Snapshot
from relay.errors import CursorInvalid
from relay.messages import data

__all__ = ["Position"]


@dataclass(frozen=True)
class Position:
    """``cursor`` is the published form and ``clamped`` its snapshot, good for ever; ``snapshot`` is the full one, good
    while the session that took it lives."""

    cursor: str
    snapshot: Snapshot
    as_of: datetime
    clamped: Snapshot

    @cached_property
    def checkpoint(self) -> bytes:
        """The message that tells it to clients."""
        return data.checkpoint(self.cursor, self.as_of)

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
