"""The order of one row's changes within one transaction, where ids do not tell it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.capture.change import Change, Operation
from relay.routing.causality import in_causal_order

AT = datetime(2026, 5, 4, tzinfo=UTC)


def change(event_id: int, old: Any, new: Any, *, key: int = 1, xid: int = 10) -> Change:
    """A row going from one version to another; None: it is not there."""
    op: Operation = "insert" if old is None else "delete" if new is None else "update"
    images = [None if version is None else {"id": key, "v": version} for version in (old, new)]
    return Change(event_id, xid, AT, "public.t", op, {"id": key}, images[1], images[0])


def test_a_nested_update_that_was_captured_first_is_put_second() -> None:
    """The change that continues the other comes after it; other rows keep their places."""
    nested, outer, other = change(1, "b", "c"), change(2, "a", "b"), change(3, "x", "y", key=2)
    assert list(in_causal_order([nested, outer, other])) == [outer, nested, other]


def test_changes_of_different_transactions_are_never_moved() -> None:
    """Between transactions the row lock makes ids right, whatever the images look like."""
    changes = [change(1, "b", "c", xid=10), change(2, "a", "b", xid=11)]
    assert in_causal_order(changes) is changes


def test_what_has_no_single_whole_order_stays_as_it_is() -> None:
    """A row that returns to an earlier version could be read in several ways, so ids stand."""
    changes = [change(1, "a", "b"), change(2, "b", "a"), change(3, "a", "b"), change(4, "c", "a")]
    assert list(in_causal_order(changes)) == changes


def test_changes_without_images_are_left_alone() -> None:
    """A change of which only the key is known proves nothing."""
    blind = Change(2, 10, AT, "public.t", "update", {"id": 1}, None, None)
    changes = [change(1, "b", "c"), blind, change(3, "a", "b")]
    assert list(in_causal_order(changes)) == changes


@given(st.permutations(range(6)))
def test_any_disorder_of_distinct_versions_is_undone(order: list[int]) -> None:
    """Whatever order a row's versions were captured in, they come out as they happened."""
    history = [change(10 + place, step, step + 1) for place, step in enumerate(order)]
    assert [one.old["v"] for one in in_causal_order(history) if one.old] == list(range(6))


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=12))
def test_what_is_in_order_is_not_touched(writes: list[tuple[int, int]]) -> None:
    """A history that is right already comes out as the very same sequence."""
    versions: dict[int, int | None] = {}
    changes = []
    for event_id, (key, version) in enumerate(writes):
        old = versions.get(key)
        new = None if old is not None and version == 3 else version
        changes.append(change(event_id, old, new, key=key))
        versions[key] = new
    assert in_causal_order(changes) is changes
