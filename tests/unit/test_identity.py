"""What names a row when nothing else of it may be said."""

from __future__ import annotations

from typing import Any

import pytest

from relay.routing.channel import Channel
from relay.routing.event import PreparedEvent
from relay.routing.identity import identity
from tests.support.routing import NOW, channel

NO_LOOKUPS: dict[str, Any] = {"lookups": {}, "status": ""}
BIG = channel(fields={"key": {"column": "id"}, "note": {"column": "note"}}, **NO_LOOKUPS)
SMALL = channel(fields={"id": {"column": "id", "type": "integer"}}, **NO_LOOKUPS)


def event(key: Any, old: Any = None, new: Any = None) -> PreparedEvent:
    """A delete with this key and these rows."""
    return PreparedEvent(
        channel="payments", mapping="", id="1", xid=5, at=NOW, op="delete", new=new, old=old, key=key
    )


@pytest.mark.parametrize(
    ("of", "one", "named"),
    [
        (BIG, event({"id": 7}, old={"key": 7, "note": "x"}), {"key": "7"}),
        (BIG, event({"id": 7}, new={"key": 7, "note": "x"}), {"key": "7"}),
        (BIG, event({"id": 7}), {"key": "7"}),
        (BIG, event({"other": 7}, old={"key": 7, "note": "x"}), {}),
        (BIG, event(None), {}),
        (SMALL, event({"id": 7}), {"id": 7}),
        (SMALL, event({"other": 1}, old={"id": 7}), {"id": 7}),
    ],
)
def test_a_row_is_named_by_the_fields_that_show_its_key(of: Channel, one: PreparedEvent, named: Any) -> None:
    """The key's visible fields name a row, in their JSON form, from the row or from the key alone; then its id."""
    assert identity(of, one) == named


def test_a_hidden_key_column_names_nothing() -> None:
    """A key column that clients may not see does not leave with deleted either."""
    hidden = channel(
        fields={"id": {"column": "id"}, "number": {"column": "amount", "hidden": True}}, **NO_LOOKUPS
    )
    assert identity(hidden, event({"id": 7, "amount": 5}, old={"id": 7, "number": 5})) == {"id": "7"}
