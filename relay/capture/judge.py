"""Whether a position can be honoured: one rule, for clients' cursors and for the relay's own after a reconnect."""

from __future__ import annotations

from dataclasses import dataclass

from relay.capture.cursor import Cursor, Epoch
from relay.capture.snapshot import Snapshot

__all__ = ["Facts", "refusal"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database says at the moment. ``witness``: whether the cursor's witness is there, unchanged."""

    epoch: Epoch
    horizon: Snapshot
    present: Snapshot
    witness: bool


def refusal(cursor: Cursor, facts: Facts) -> str | None:
    """Why ``cursor`` cannot be honoured, as the word that clients see; None if it can.

    ``epoch``: its numbers mean something else here. ``future``: Postgres has lost what it covers, or it is forged.
    ``pruned``: events it has not seen may be gone. ``witness``: the newest row it covers is not there any more, so
    commits were lost and their ids may have been given out again.
    """
    if cursor.epoch != facts.epoch:
        return "epoch"
    if cursor.snapshot.xmax > facts.present.xmax:
        return "future"
    if not cursor.snapshot.covers(facts.horizon):
        return "pruned"
    if cursor.witness is not None and not facts.witness:
        return "witness"
    return None
