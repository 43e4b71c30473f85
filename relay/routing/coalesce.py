"""Changes of rows as a channel means them: a moved key is two changes, and one transaction may count as one change.

Folding keeps, for each row and transaction, what the row was before the first change and what it is after the last:

    insert + update = insert (last new)          insert + delete = nothing, or fleeting
    update + update = update (first old, last new)   update + delete = delete (first old)
    delete + insert = update (first old, last new)

The last change's id, time and place in the order stand.

The changes of a large commit are folded part by part, so somebody may have been told of a row as it was ``between``,
and then been cut off. Who comes back is told the whole as one, and so that it ends well for them, too: ``between`` is
remembered for that. For the same reason a row that came and went is a delete that is ``fleeting``: live, nothing is
told of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal, NamedTuple

from relay import jsontext
from relay.capture.change import Change

__all__ = ["RowChange", "fold", "row_changes"]

Image = dict[str, Any]


class RowChange(NamedTuple):
    """One change of one row. ``id`` is the event's, as clients see it; ``serial`` the same as a number, for order.

    ``old`` is None for an insert and ``new`` for a delete; otherwise None means that the image could not be captured.
    ``between`` is there if several changes were folded: the images that nobody saw if all was told at once.
    ``fleeting``: the row was not there before its transaction, nor is it after.
    """

    id: str
    serial: int
    xid: int
    at: datetime
    op: Literal["insert", "update", "delete"]
    key: Image | None
    new: Image | None
    old: Image | None
    between: tuple[Image | None, ...] | None = None
    fleeting: bool = False


def row_changes(change: Change) -> tuple[RowChange, ...]:
    """The changes of rows that one event is: none for TRUNCATE, two where the primary key changed.

    The first of the two is the old row's delete, whose id has ``.0`` appended, for clients tell events apart by id.
    """
    op = change.op
    if op == "truncate":
        return ()
    old, new, key = change.old, change.new, change.key
    if op == "update" and old is not None and new is not None and key is not None:
        before = {column: old.get(column) for column in key}
        if before != {column: new.get(column) for column in key}:
            return (
                RowChange(f"{change.id}.0", change.id, change.xid, change.at, "delete", before, None, old),
                RowChange(str(change.id), change.id, change.xid, change.at, "insert", key, new, None),
            )
    return (RowChange(str(change.id), change.id, change.xid, change.at, op, key, new, old),)


def fold(changes: Iterable[RowChange]) -> list[RowChange]:
    """The changes with each row's changes within one transaction folded into one, in the order of the last ones."""
    folded: dict[Any, list[RowChange]] = {}
    for change in changes:
        # Without a key nothing can be told about the row, so nothing can be folded.
        row = (change.xid, jsontext.encode(change.key)) if change.key is not None else change.id
        before = folded.pop(row, [])
        before.append(change)
        folded[row] = before
    return [_net(each) if len(each) > 1 else each[0] for each in folded.values()]


def _net(changes: list[RowChange]) -> RowChange:
    first, last = changes[0], changes[-1]
    between = tuple(each.new for each in changes[:-1] if each.op != "delete")
    was, is_ = first.op != "insert", last.op != "delete"
    if not was and not is_:
        return last._replace(between=between, fleeting=True)
    op: Literal["insert", "update", "delete"] = "update" if was and is_ else "delete" if was else "insert"
    return last._replace(
        op=op, new=last.new if is_ else None, old=first.old if was else None, between=between
    )
