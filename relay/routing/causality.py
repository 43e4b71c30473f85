"""Put changes of one row back into the order in which they happened, where their ids cannot tell.

Ids are given out when a change is captured, and Postgres captures the changes of a statement when the statement ends.
If another AFTER trigger, fired for one row of a statement, updates a further row of that same statement, the nested
update is captured first and gets the lower id, although it came second. Every trigger that records changes has this
trouble (it follows from the order in which Postgres fires AFTER triggers; see "Overview of Trigger Behavior" in its
documentation), and no id, clock or command counter shows it.

The images do: what one change made is what the next one found. Only where that chain is broken, and there is exactly
one order in which it is whole, is anything moved. A large commit that is read in parts is looked at part by part.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from relay import jsontext
from relay.capture.change import Change

__all__ = ["in_causal_order"]

#: Changes of one row in one transaction that are still put in order; past this many the search would take long.
LONGEST = 64


def in_causal_order(changes: Sequence[Change]) -> Sequence[Change]:
    """``changes`` (in id order) with those of one row and transaction in an order in which each continues the last."""
    if len({change.xid for change in changes}) == len(changes):
        return changes
    places: dict[tuple[str, int, bytes], list[int]] = {}
    for place, change in enumerate(changes):
        if change.key is not None:
            places.setdefault((change.source, change.xid, jsontext.encode(change.key)), []).append(place)
    ordered: list[Change] | None = None
    for rows in places.values():
        if len(rows) == 1:
            continue
        chain = _chain([changes[place] for place in rows])
        if chain is not None:
            ordered = ordered or list(changes)
            for place, change in zip(rows, chain, strict=True):
                ordered[place] = change
    return changes if ordered is None else ordered


def _chain(row: list[Change]) -> list[Change] | None:
    """The one whole order of ``row``, or None: it is in order already, or nothing better is known."""
    if all(_continues(one, other) for one, other in pairwise(row)):
        return None
    if len(row) > LONGEST or any(change.key_only for change in row):
        return None
    first = [one for one in row if not any(_continues(other, one) for other in row if other is not one)]
    if len(first) != 1:
        return None
    chain, left = first, [change for change in row if change is not first[0]]
    while left:
        following = [change for change in left if _continues(chain[-1], change)]
        if len(following) != 1:
            return None
        chain.append(following[0])
        left.remove(following[0])
    return chain


def _continues(one: Change, other: Change) -> bool:
    return one.new == other.old
