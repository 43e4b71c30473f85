"""What one poll brings: the values that capture hands to the rest of the house."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.capture.change import Change
from relay.capture.cursor import Witness
from relay.capture.snapshot import Snapshot

__all__ = ["Batch", "CaptureStatus", "Gap"]


@dataclass(frozen=True, slots=True)
class Gap:
    """The history before a batch is broken for ``sources`` (None: for all): what subscribers have of them is void.

    ``reason`` is a word for the client: ``epoch``, ``witness``, ``future``, ``pruned`` (a position that cannot be
    honoured), ``capture_changed`` (a trigger or table was altered), ``unreadable_row``, ``reconnected`` (a table in
    mode notify, whose events are lost with the connection).
    """

    sources: frozenset[str] | None
    reason: str

    def touches(self, source: str) -> bool:
        """Whether the history of ``source`` is broken."""
        return self.sources is None or source in self.sources


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes that became visible together, in id order, and up to where the stream is complete after them.

    ``snapshot`` is what every source outside ``lagging`` is complete up to, in full: compare it with the snapshots of
    tables and replays. It is good for this process only. ``clamped`` is the part of it that survives a crash, and
    ``cursor`` the same with epoch and witness, encoded: what clients may keep. In a part of a large commit all three
    are empty (None, None, ""): more follows, and nothing can be said yet about its source.

    ``lagging`` are the sources with a large commit still streaming: no checkpoint may speak for their channels.
    ``as_of``: everything committed before it (database clock) was visible in ``snapshot``.
    """

    changes: tuple[Change, ...]
    snapshot: Snapshot | None
    as_of: datetime
    cursor: str
    witness: Witness | None
    lagging: frozenset[str] = frozenset()
    gap: Gap | None = None
    clamped: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """Whether changes are being captured, since when that is so, and if not, why.

    ``reason`` is one line for operators: it names hosts, roles, tables. ``down``: the outbox cannot be read at all;
    otherwise it is, and some table is not captured whole.
    """

    ok: bool
    since: datetime
    reason: str = ""
    down: bool = False
