"""What a position has missed: judged and read in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.capture import change, queries
from relay.capture.change import Change
from relay.capture.cursor import Cursor, Epoch
from relay.capture.judge import Facts, refusal
from relay.capture.session import Row, Session
from relay.capture.snapshot import Snapshot
from relay.errors import BadOutboxRow, ResumeRefused

__all__ = ["Resumed", "facts", "replay"]

#: Rows parsed before other tasks get their turn.
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Resumed:
    """The changes that a cursor has missed, in id order; with them it is complete up to ``snapshot``.

    ``broken``: sources that were captured otherwise when the cursor was issued. Something may be missing of them.
    """

    changes: tuple[Change, ...]
    snapshot: Snapshot
    as_of: datetime
    broken: frozenset[str] = frozenset()


async def facts(session: Session, cursor: Cursor, epoch: Epoch) -> tuple[Facts, datetime]:
    """What is needed to judge ``cursor`` in a session of ``epoch``, and when that was so."""
    witness = cursor.witness
    params = {
        "id": witness.id if witness else None,
        "xid": str(witness.xid) if witness else None,
        "at": witness.at.isoformat() if witness else None,
    }
    ((horizon, present, exists, now),) = await session.fetch(queries.FACTS, params)
    return Facts(epoch, Snapshot.parse(horizon), Snapshot.parse(present), exists), now


async def replay(
    session: Session, cursor: Cursor, epoch: Epoch, sources: frozenset[str], limit: int
) -> Resumed:
    """Everything of ``sources`` that ``cursor`` has not seen. Call it inside a repeatable read transaction.

    Raises ResumeRefused; ``too_far`` if more than ``limit`` rows would have to be read.
    """
    known, now = await facts(session, cursor, epoch)
    reason = refusal(cursor, known)
    if reason is not None:
        raise ResumeRefused(reason)
    params = {
        "xmax": str(cursor.snapshot.xmax),
        "xip": [str(xid) for xid in sorted(cursor.snapshot.xip) if known.present.sees(xid)],
        "limit": limit + 1,
    }
    rows = await session.fetch(queries.REPLAY, params)
    if len(rows) > limit:
        raise ResumeRefused("too_far")
    # Every row that this transaction sees is covered by the cursor or was just read, so this is the clamp.
    bound = max([cursor.snapshot.xmax, known.horizon.xmax, *(int(row[1]) + 1 for row in rows)])
    return Resumed(await _changes(rows, sources), known.present.clamp(bound), now)


async def _changes(rows: Sequence[Row], sources: frozenset[str]) -> tuple[Change, ...]:
    ours = []
    try:
        for count, row in enumerate(rows, 1):
            if row[3] in sources:
                ours.append(change.parse(row))
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
    except BadOutboxRow:
        raise ResumeRefused("unreadable_row") from None
    return tuple(sorted(ours, key=lambda found: (found.id, found.xid)))
