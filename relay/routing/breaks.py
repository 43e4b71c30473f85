"""What cannot be told to a view as messages about rows: everything it has of a channel is void."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from relay.capture.batch import Gap
from relay.routing.event import Prepared, ScopeChange
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
        if change.channel == name and change.lookup in view.lookups and _may_move(view, change):
            # Whatever a snapshot shows: its rows may have been chosen by what look-ups gave before.
            yield Break("scope_changed", change.xid, curable=False)
    for truncation in prepared.truncations:
        if truncation.channel == name:
            yield Break("truncated", truncation.xid, curable=True)


def _may_move(view: View, change: ScopeChange) -> bool:
    """Whether rows may have come into the view's scope, or gone from it, because a look-up's results changed.

    Not if each condition on the look-up asks for an overlap with values of which none came or went.
    """
    values = change.values
    if values is None:
        return True
    for one in view.scope.conditions:
        field = view.channel.fields[one.field]
        if field.lookup == change.lookup:
            known = values.get(field.lookup_column)
            if known is None or field.treated or one.op != "overlaps" or not known.isdisjoint(one.keys or ()):
                return True
    return False


def gap_break(view: View, gap: Gap | None) -> str | None:
    """Why a gap in the history makes what ``view`` has void; None if it does not."""
    return gap.reason if gap is not None and any(map(gap.touches, view.sources)) else None
