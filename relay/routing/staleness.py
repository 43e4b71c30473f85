"""What a change in a table that a look-up reads means for the results of that look-up."""

from __future__ import annotations

import re
from typing import Any

from relay.capture.change import Change
from relay.routing.channel import Lookup
from relay.routing.event import Values
from relay.routing.lookups import key_text

__all__ = ["keys_touched", "moves_scope", "together", "touches", "values_touched"]

_UNKNOWN: Any = object()
#: Text whose form depends on no setting of the session that captured it, unlike that of a time or an interval.
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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


def values_touched(lookup: Lookup, change: Change) -> Values:
    """By column of the result, the elements that ``change`` can have brought or taken away; None: any, in any column.

    A column that is missing may hold anything.
    """
    columns = lookup.gathered.get(change.source)
    images = [image for image in (change.new, change.old) if image is not None]
    if not columns or change.op == "truncate" or not images:
        return None
    if change.op == "update" and len(images) < 2:
        return None
    found: dict[str, frozenset[Any]] = {}
    for column, source in columns.items():
        values = [image.get(source, _UNKNOWN) for image in images]
        if all(value is None or _is_one_form(value) for value in values):
            # NULL is an element, too, and one that nothing overlaps with.
            found[column] = frozenset(value for value in values if value is not None)
    return found


def together(one: Values, other: Values) -> Values:
    """What two changes can have touched."""
    if one is None or other is None:
        return None
    return {column: one[column] | other[column] for column in one.keys() & other.keys()}


def _is_one_form(value: Any) -> bool:
    """Whether a value is written alike wherever it comes from, so that values that differ in form are not equal."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and _UUID.fullmatch(value) is not None)
