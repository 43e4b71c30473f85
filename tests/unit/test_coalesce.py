"""Changes of rows, moved keys and folding."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.routing.coalesce import RowChange, fold, row_changes
from tests.support.routing import change, image

A, B, C = image(status="a"), image(status="b"), image(status="c")


def rows(*changes: Any) -> list[RowChange]:
    """The row changes of some events."""
    return [row for each in changes for row in row_changes(each)]


def net(*changes: Any) -> list[tuple[str, str, Any, Any]]:
    """What they fold to, as (id, op, old, new)."""
    return [(row.id, row.op, row.old, row.new) for row in fold(rows(*changes)) if not row.fleeting]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("insert", A, None), ("update", B, A)], [("2", "insert", None, B)]),
        ([("update", B, A), ("update", C, B)], [("2", "update", A, C)]),
        ([("insert", A, None), ("delete", None, A)], []),
        ([("update", B, A), ("delete", None, B)], [("2", "delete", A, None)]),
        ([("delete", None, A), ("insert", B, None)], [("2", "update", A, B)]),
        ([("insert", A, None), ("update", B, A), ("delete", None, B)], []),
        ([("delete", None, A), ("insert", B, None), ("delete", None, B)], [("3", "delete", A, None)]),
        ([("insert", A, None), ("delete", None, A), ("insert", B, None)], [("3", "insert", None, B)]),
    ],
)
def test_changes_of_one_row_in_one_transaction_fold(changes: list[Any], expected: list[Any]) -> None:
    """What was before the first change and what is after the last counts; the last event's id stands."""
    events = [change(n, op, new, old, xid=5) for n, (op, new, old) in enumerate(changes, 1)]
    assert net(*events) == expected


def test_other_rows_and_other_transactions_do_not_fold() -> None:
    """Folding joins changes of one row within one transaction only, and keeps the order of the last ones."""
    other = image(id=2)
    events = [
        change(1, "insert", A, xid=5),
        change(2, "insert", other, xid=5),
        change(3, "update", B, A, xid=5),
        change(4, "update", C, B, xid=6),
    ]
    assert [row.id for row in fold(rows(*events))] == ["2", "3", "4"]


def test_a_moved_key_is_a_delete_and_an_insert() -> None:
    """A change of primary key is two changes with ids of their own, the delete first."""
    moved = rows(change(7, "update", image(id=2), image(id=1)))
    assert [(row.id, row.op, row.key) for row in moved] == [
        ("7.0", "delete", {"id": 1}),
        ("7", "insert", {"id": 2}),
    ]


def test_an_unknown_image_stays_unknown_where_it_matters() -> None:
    """Folding an event without images leaves old or new unknown exactly where that event would have given it."""
    lost_first = net(change(1, "update", None, None, xid=5, key={"id": 1}), change(2, "update", C, B, xid=5))
    lost_last = net(change(1, "update", B, A, xid=5), change(2, "update", None, None, xid=5, key={"id": 1}))
    assert lost_first == [("2", "update", None, C)]
    assert lost_last == [("2", "update", A, None)]


def test_truncate_is_no_change_of_a_row() -> None:
    """TRUNCATE is told as a whole, not row by row."""
    assert row_changes(change(1, "truncate")) == ()


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from("abc") | st.none()), max_size=12))
def test_folding_has_the_same_outcome_as_applying_every_change(steps: list[tuple[int, str | None]]) -> None:
    """Whatever happens to rows in a transaction, the folded changes take the same state to the same state."""
    start: dict[int, dict[str, Any]] = {1: image(1, status="start")}
    state = dict(start)
    events = []
    for n, (id, status) in enumerate(steps, 1):
        old, new = state.get(id), image(id, status=status) if status is not None else None
        if old is None and new is None:
            continue
        op: Any = "insert" if old is None else "delete" if new is None else "update"
        events.append(change(n, op, new, old, xid=5))
        state[id] = new  # type: ignore[assignment]  # removed below
        if new is None:
            del state[id]
    folded = [row for row in fold(rows(*events)) if not row.fleeting]
    assert len({row.key["id"] for row in folded if row.key}) == len(folded)
    replayed = dict(start)
    for row in folded:
        assert row.key is not None
        id = row.key["id"]
        assert replayed.get(id) == row.old
        if row.new is None:
            del replayed[id]
        else:
            replayed[id] = row.new
    assert replayed == state
