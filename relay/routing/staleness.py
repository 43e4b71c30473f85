"""What a change in a table that a look-up reads means for the results of that look-up."""

from __future__ import annotations

from relay.capture.change import Change
from relay.routing.channel import Lookup
from relay.routing.lookups import key_text

__all__ = ["keys_touched", "moves_scope", "touches"]


def touches(lookup: Lookup, change: Change) -> bool:
    """Whether ``change`` is one of a column that ``lookup`` reads. An image that is missing might hold anything."""
    if change.op != "update" or change.old is None or change.new is None:
        return True
    old, new = change.old, change.new
    return any(old.get(column) != new.get(column) for column in lookup.reads[change.source])


def keys_touched(lookup: Lookup, change: Change) -> list[str] | None:
    """The keys whose results may differ after ``change``; None: any."""
    column = lookup.keyed_by.get(change.source)
    if column is None or change.op == "truncate":
        return None
    images = [image for image in (change.new, change.old) if image is not None]
    if not images and change.key is not None:
        images = [change.key]
    if not images or any(column not in image for image in images):
        return None
    return list({key_text(image[column]): None for image in images if image[column] is not None})


def moves_scope(lookup: Lookup, change: Change, known: bool) -> bool:
    """Whether ``change`` may move rows, which did not change themselves, in or out of a scope that uses ``lookup``.

    It may, unless a row appears under a key that can have had no result before: the table's own primary key, which
    nothing looked up yet (``known``). A new payment does not change what anyone may see of old disputes.
    """
    column = lookup.keyed_by.get(change.source)
    fresh = change.op == "insert" and change.key is not None and set(change.key) == {column}
    return known or not fresh
