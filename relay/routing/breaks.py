"""What cannot be told to a view as messages about rows: everything it has of a channel is void."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from relay.capture.batch import Gap
from relay.routing.event import Prepared
from relay.routing.view import View

__all__ = ["ROW_UNKNOWN", "Break", "breaks", "gap_break"]

#: The reason given when a row may or may not have been the subscriber's and no message could say which.
ROW_UNKNOWN = "row_unknown"


class Break(NamedTuple):
    """Void for ``reason``, because of transaction ``xid``.

    ``curable``: a snapshot that shows ``xid`` is whole again. Otherwise only one begun after this is.
    """

    reason: str
    xid: int
    curable: bool


def breaks(view: View, prepared: Prepared) -> Iterator[Break]:
    """All that ``prepared`` makes void for ``view``."""
    name = view.channel.name
    for change in prepared.scope_changes:
        if change.channel == name and change.lookup in view.lookups:
            # Whatever a snapshot shows: its rows may have been chosen by what look-ups gave before.
            yield Break("scope_changed", change.xid, curable=False)
    for truncation in prepared.truncations:
        if truncation.channel == name:
            yield Break("truncated", truncation.xid, curable=True)


def gap_break(view: View, gap: Gap | None) -> str | None:
    """Why a gap in the history makes what ``view`` has void; None if it does not."""
    return gap.reason if gap is not None and any(map(gap.touches, view.sources)) else None
