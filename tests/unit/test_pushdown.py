"""Conditions handed down to Postgres: fewer rows, never a missing one."""

from __future__ import annotations

from typing import Any

import pytest

from relay.capture.rows import SqlCondition
from relay.routing.pushdown import narrow
from tests.support.routing import Lookups, channel, view

FIELDS = {
    "id": {"column": "id", "type": "string"},
    "key": {"column": "id"},
    "amount": {"column": "amount", "type": "decimal"},
    "cents": {"column": "student_id", "type": "decimal"},
    "status": {"column": "status", "map": {"completed": "succeeded", "done": "succeeded"}},
    "note": {"column": "note", "default": ""},
    "raw": {"column": "note"},
    "paid": {"column": "paid"},
    "meta": {"column": "meta"},
    "plan": {"column": "meta", "keys": ["plan"]},
    "at": {"column": "created_at"},
    "currency": {"constant": "eur"},
    "school_ids": {"lookup": "tenant.school_ids", "type": "json", "hidden": True},
}
PAYMENT = channel(fields=FIELDS)
LOOKUPS = Lookups({1: [10], 2: [20], 3: [10, 20]})


async def handed(spec: Any, scope: Any = None) -> tuple[list[SqlCondition], bool]:
    """The conditions handed down, and whether they are all there is."""
    found = await narrow(
        view(PAYMENT, spec, scope), lambda lookup, values: LOOKUPS.look_up_reverse("", values)
    )
    return list(found.conditions), found.complete


@pytest.mark.parametrize(
    ("spec", "condition"),
    [
        ({"raw": "x"}, ("note", "eq", ("x",))),
        ({"raw": ["y", "x"]}, ("note", "in", ("x", "y"))),
        ({"raw": None}, ("note", "is_null", ())),
        ({"raw": {"is_null": False}}, ("note", "not_null", ())),
        ({"note": "x"}, ("note", "eq", ("x",))),
        ({"amount": {"gte": "1e2"}}, ("amount", "gte", ("100",))),
        ({"key": "7"}, ("id", "eq", ("7",))),
        ({"id": "7"}, ("id", "eq", ("7",))),
        ({"id": ["7", "x", "07"]}, ("id", "in", ("7",))),
        ({"id": "x"}, ("id", "in", ())),
        ({"paid": True}, ("paid", "eq", ("true",))),
        ({"at": {"lt": "2026-01-01T12:00:00+02:00"}}, ("created_at", "lt", ("2026-01-01T10:00:00+00:00",))),
        ({"status": "succeeded"}, ("status", "in", ("completed", "done", "succeeded"))),
        ({"status": "pending"}, ("status", "in", ("pending",))),
        ({"status": "completed"}, ("status", "in", ())),
    ],
)
async def test_what_postgres_can_check_it_checks(
    spec: Any, condition: tuple[str, Any, tuple[str, ...]]
) -> None:
    """Conditions on plain and mapped columns are handed down whole, mapped values turned back into stored ones."""
    assert await handed(spec) == ([SqlCondition(*condition)], True)


@pytest.mark.parametrize(
    "spec",
    [
        {"note": ""},
        {"note": {"lt": "a"}},
        {"note": None},
        {"raw": {"ne": "x"}},
        {"raw": {"contains": "x"}},
        {"raw": {"changed": False}},
        {"raw": "a\u0000b"},
        {"status": {"gt": "a"}},
        {"id": {"gt": "5"}},
        {"key": str(2**63)},
        {"cents": "5.5"},
        {"meta": None},
        {"plan": None},
        {"currency": "eur"},
        {"any_of": [{"raw": "x"}]},
    ],
)
async def test_what_postgres_would_judge_otherwise_stays_here(spec: Any) -> None:
    """Defaults, JSON nulls, other orders and values a column cannot hold are matched in Python only."""
    assert await handed(spec) == ([], False)


@pytest.mark.parametrize(
    "spec",
    [
        {"raw": {"gt": "m"}},
        {"raw": {"lte": "4242424242424242"}},
        {"raw": "4242424242424242"},
        {"raw": ["x", "pay with 4242 4242 4242 4242"]},
        {"raw": "pay with [removed]"},
        {"status": "sk_live_abcdefgh"},
    ],
)
async def test_nobody_finds_out_through_postgres_what_the_scan_removed(spec: Any) -> None:
    """Postgres has the text as it was written: order in it, and equality with what is removed, are judged here."""
    assert await handed(spec) == ([], False)


async def test_a_scope_is_asked_the_other_way_round() -> None:
    """A scope on a look-up with reverse becomes a condition on the look-up's key, checked again afterwards."""
    assert await handed(None, {"school_ids": {"overlaps": [10]}}) == (
        [SqlCondition("student_id", "in", ("1", "3"))],
        False,
    )


async def test_scope_and_filter_are_both_narrowed() -> None:
    """All conditions that can be handed down are."""
    conditions, complete = await handed({"raw": "x", "amount": {"gt": 5}}, {"status": {"eq": "succeeded"}})
    assert [each.column for each in conditions] == ["status", "amount", "note"]
    assert complete
