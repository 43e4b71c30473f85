"""Filters: what clients may ask for, what it means, and what is refused by name."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import FilterRefused
from relay.messages.fields import KINDS
from relay.routing.conditions import EVERY_FIELD
from relay.routing.filters import EVERYTHING, Filter, parse

FIELDS = {
    "id": KINDS["string"],
    "status": KINDS["string"],
    "amount": KINDS["decimal"],
    "attempts": KINDS["integer"],
    "paid": KINDS["boolean"],
    "at": KINDS["timestamp"],
    "tags": KINDS["json"],
    "email": KINDS["auto"],
}
LIMITS = SimpleNamespace(filter_conditions=32, filter_in=100)


def filter_of(spec: Any) -> Filter:
    """The filter of a JSON spec."""
    return parse(spec, FIELDS, LIMITS)


def row(**values: Any) -> dict[str, Any]:
    """A row with null in all other fields."""
    return dict.fromkeys(FIELDS) | values


@pytest.mark.parametrize(
    ("spec", "matching", "other"),
    [
        ({"status": "failed"}, {"status": "failed"}, {"status": "Failed"}),
        ({"status": ["failed", "refunded"]}, {"status": "refunded"}, {"status": "pending"}),
        ({"status": {"in": ["failed"]}}, {"status": "failed"}, {"status": None}),
        ({"status": {"ne": "failed"}}, {"status": "pending"}, {"status": "failed"}),
        ({"amount": {"gte": "100"}}, {"amount": Decimal("100.00")}, {"amount": Decimal("99.99")}),
        ({"amount": {"gt": "9"}}, {"amount": Decimal("10")}, {"amount": Decimal("9.00")}),
        ({"amount": {"gte": "100", "lt": 200}}, {"amount": Decimal("100")}, {"amount": Decimal("200")}),
        ({"amount": {"lte": "0.1"}}, {"amount": Decimal("0.10")}, {"amount": Decimal("0.11")}),
        ({"amount": "150"}, {"amount": Decimal("150.00")}, {"amount": Decimal("150.01")}),
        ({"attempts": {"lt": 3}}, {"attempts": 2}, {"attempts": 3}),
        ({"paid": True}, {"paid": True}, {"paid": False}),
        (
            {"at": {"gte": "2026-01-01T12:00:00+02:00"}},
            {"at": KINDS["timestamp"].operand("2026-01-01T10:00:00Z")},
            {"at": KINDS["timestamp"].operand("2026-01-01T09:59:59Z")},
        ),
        ({"email": {"contains": "@school"}}, {"email": "a@school.example"}, {"email": "a@SCHOOL.example"}),
        ({"tags": {"contains": "vip"}}, {"tags": ["new", "vip"]}, {"tags": {"vip": 1}}),
        ({"tags": {"contains": 1}}, {"tags": [1]}, {"tags": [True]}),
        ({"email": {"is_null": True}}, {"email": None}, {"email": ""}),
        ({"email": {"is_null": False}}, {"email": ""}, {"email": None}),
        ({"email": None}, {"email": None}, {"email": "x"}),
        ({"email": {"ne": None}}, {"email": "x"}, {"email": None}),
        ({"email": {"eq": 1}}, {"email": 1}, {"email": True}),
        (
            {"status": "failed", "paid": False},
            {"status": "failed", "paid": False},
            {"status": "failed", "paid": True},
        ),
        (
            {"any_of": [{"status": "failed"}, {"amount": {"gt": "100"}}]},
            {"status": "x", "amount": Decimal(101)},
            {"status": "x", "amount": Decimal(1)},
        ),
        (
            {"paid": True, "any_of": [{"status": "failed"}]},
            {"paid": True, "status": "failed"},
            {"paid": False, "status": "failed"},
        ),
    ],
)
def test_operators(spec: Any, matching: dict[str, Any], other: dict[str, Any]) -> None:
    """Each operator matches what it says and nothing beside it; decimals and timestamps compare as such."""
    found = filter_of(spec)
    assert found.matches(row(**matching), ())
    assert not found.matches(row(**other), ())


@pytest.mark.parametrize("op", ["eq", "ne", "in", "gt", "gte", "lt", "lte"])
def test_null_matches_nothing_but_is_null(op: str) -> None:
    """As in SQL, a comparison with NULL is not true, not even ne."""
    operand: Any = ["1"] if op == "in" else "1"
    assert not filter_of({"amount": {op: operand}}).matches(row(), ())


def test_changed_looks_at_the_event() -> None:
    """changed: true matches an event that changed the field, or that brings a row the subscriber never had."""
    found = filter_of({"status": {"changed": True}})
    assert found.matches(row(), ("status",))
    assert found.matches(row(), EVERY_FIELD)
    assert not found.matches(row(), ("amount",))
    assert filter_of({"status": {"changed": False}}).matches(row(), ("amount",))


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"colour": "red"}, '"colour" cannot be filtered on; use one of id, status'),
        ({"secret": "x"}, '"secret" cannot be filtered on'),
        ({"status": {"like": "f%"}}, 'field status: there is no operator "like"; use one of eq, ne'),
        ({"status": {"overlaps": ["a"]}}, "no operator"),
        ({"status": {}}, "field status: name an operator"),
        ({"status": 5}, "field status: eq expects a string"),
        ({"amount": {"gte": "much"}}, "field amount: gte expects a number"),
        ({"paid": {"gt": True}}, "field paid: gt expects a field with an order"),
        ({"tags": {"lt": 5}}, "field tags: lt expects a field with an order"),
        ({"amount": {"contains": "5"}}, "field amount: contains expects a text or JSON field"),
        ({"status": {"in": "failed"}}, "field status: in expects a list"),
        ({"status": ["failed", None]}, "field status: in expects a list without null"),
        ({"status": [str(n) for n in range(101)]}, "at most 100 values"),
        ({"status": {"is_null": "yes"}}, "field status: is_null expects true or false"),
        ({"status": {"changed": None}}, "field status: changed expects true or false"),
        ({"any_of": {}}, "any_of takes a list"),
        ({"any_of": []}, "any_of takes a list of at least one"),
        ({"any_of": ["failed"]}, "each alternative of any_of is an object"),
        ({"any_of": [{"any_of": [{"status": "x"}]}]}, "any_of may not stand inside any_of"),
        ({"any_of": [{"amount": {"gte": str(n)}} for n in range(33)]}, "at most 32 conditions"),
        (["status"], "a filter is an object"),
        ("status", "a filter is an object"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(spec: Any, named: str) -> None:
    """A refusal names field or operator and what would do, in one line, and never repeats an operand."""
    with pytest.raises(FilterRefused) as refused:
        filter_of(spec)
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "much" not in str(refused.value)


def test_no_filter_is_everything() -> None:
    """None and an empty object are the filter that matches every row."""
    assert filter_of(None) is EVERYTHING
    assert filter_of({}) is EVERYTHING
    assert EVERYTHING.matches(row(), ())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"status": "failed"}, {"status": {"eq": "failed"}}),
        ({"status": "a", "paid": True}, {"paid": True, "status": "a"}),
        ({"status": ["b", "a", "b"]}, {"status": {"in": ["a", "b"]}}),
        ({"amount": "100"}, {"amount": {"eq": Decimal("100.00")}}),
        ({"amount": {"gt": 0}}, {"amount": {"gt": "-0.0"}}),
        ({"at": "2026-01-01T10:00:00Z"}, {"at": "2026-01-01T12:00:00+02:00"}),
        (
            {"any_of": [{"status": "a"}, {"paid": True}]},
            {"any_of": [{"paid": True}, {"status": "a"}, {"status": "a"}]},
        ),
        ({"email": None}, {"email": {"is_null": True}}),
    ],
)
def test_equal_filters_share_a_group(one: Any, other: Any) -> None:
    """Filters that mean the same by their form have the same canonical text."""
    assert filter_of(one).canonical == filter_of(other).canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"email": "1"}, {"email": 1}),
        ({"email": True}, {"email": "true"}),
        ({"status": ["a", "b"]}, {"status": ["a,b"]}),
        ({"status": "a"}, {"any_of": [{"status": "a"}, {"paid": True}]}),
        ({"status": "a", "paid": True}, {"any_of": [{"status": "a"}, {"paid": True}]}),
        ({"status": {"changed": True}}, {"status": {"is_null": True}}),
    ],
)
def test_different_filters_do_not(one: Any, other: Any) -> None:
    """Filters that differ in type, operator or grouping have different canonical texts."""
    assert filter_of(one).canonical != filter_of(other).canonical


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FIELDS, "any_of", "eq", "in", "gt"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_a_filter_or_refused(spec: Any) -> None:
    """Whatever a client sends as a filter either matches rows without error or is refused; nothing else happens."""
    try:
        found = filter_of(spec)
    except FilterRefused:
        return
    found.matches(row(), ())
    found.matches(row(status="a", amount=Decimal(1), tags=[1, {}], email={"a": [1]}), EVERY_FIELD)
