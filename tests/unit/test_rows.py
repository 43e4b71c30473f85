"""Captured images made into validated rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from relay.errors import RowInvalid
from relay.routing.rows import LOOKUP_FAILED, RowBuilder
from tests.support.routing import channel, image

ID = {"id": {"column": "id", "type": "string"}}


def build(
    fields: dict[str, Any], columns: dict[str, Any], found: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """The row of a channel with these fields for one captured image."""

    answers = {"tenant": {"1": found}}
    return RowBuilder(channel(fields=ID | fields, status="")).build(image() | columns, answers)


def field(declared: dict[str, Any], value: Any) -> Any:
    """The one field x, declared so, for a captured value."""
    return build({"x": {"column": "x_column"} | declared}, {"x_column": value})["x"]


@pytest.fixture(autouse=True)
def _column(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support import routing

    monkeypatch.setitem(routing.TYPES, "x_column", "unknown")


@pytest.mark.parametrize(
    ("declared", "value", "shown"),
    [
        ({"type": "string"}, 7, "7"),
        ({"type": "string"}, Decimal("1.50"), "1.50"),
        ({"type": "integer"}, 7, 7),
        ({"type": "decimal"}, Decimal("150.00"), Decimal("150.00")),
        ({"type": "decimal"}, 150, Decimal(150)),
        ({"type": "decimal"}, "150.00", Decimal("150.00")),
        ({"type": "number"}, Decimal("45.50"), Decimal("45.50")),
        ({"type": "boolean"}, True, True),
        (
            {"type": "timestamp"},
            "2026-01-01T10:00:00+02:00",
            datetime(2026, 1, 1, 8, tzinfo=UTC),
        ),
        ({"type": "timestamp"}, "2026-01-01T10:00:00.5", datetime(2026, 1, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ({"type": "json"}, {"a": [1]}, {"a": [1]}),
        ({"map": {"completed": "succeeded"}}, "completed", "succeeded"),
        ({"map": {"completed": "succeeded"}}, "failed", "failed"),
        ({"map": {"true": "yes"}}, True, "yes"),
        ({"map": {"1": "one"}}, 1, "one"),
        ({"map": {"1": "one"}}, 2, "2"),
        ({"default": ""}, None, ""),
        ({"default": ""}, "x", "x"),
        ({"type": "decimal", "default": 0}, None, Decimal(0)),
        ({"map": {"a": "b"}, "default": "none"}, None, "none"),
        ({"keys": ["plan", "name"]}, {"name": "A", "card": "4242", "plan": 1}, {"plan": 1, "name": "A"}),
        ({"keys": ["plan"]}, None, None),
        ({"keys": ["plan"]}, {}, {}),
        ({"key": "why"}, {"why": "declined", "card": "4242"}, "declined"),
        ({"key": "why"}, {"card": "4242"}, None),
        ({"key": "why", "default": "?"}, {"why": None}, "?"),
        ({"key": "why", "default": "?"}, None, "?"),
        ({"key": "why", "map": {"1": "one"}}, {"why": 1}, "one"),
        ({"blank": False}, "", None),
        ({"blank": False, "default": "none"}, "", "none"),
        ({"blank": False}, "x", "x"),
        ({"required": True}, "x", "x"),
        ({"type": "number"}, Decimal("1e307"), Decimal("1e307")),
        ({}, None, None),
    ],
)
def test_a_column_is_shown_as_declared(declared: dict[str, Any], value: Any, shown: Any) -> None:
    """Types, maps, defaults and key allow-lists make of a captured value what the declaration says."""
    assert field(declared, value) == shown


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ({"type": "string"}, {"a": 1}),
        ({"type": "string"}, True),
        ({"type": "integer"}, Decimal("1.5")),
        ({"type": "integer"}, "seven"),
        ({"type": "decimal"}, "NaN"),
        ({"type": "decimal"}, "Infinity"),
        ({"type": "timestamp"}, "infinity"),
        ({"type": "timestamp"}, "9999-12-31T23:59:59-05:00"),
        ({"type": "timestamp"}, "0001-01-01T00:00:00+05:00"),
        ({"type": "boolean"}, "secret"),
        ({"keys": ["plan"]}, "secret"),
        ({"keys": ["plan"]}, ["secret"]),
        ({"key": "plan"}, "secret"),
        ({"type": "string", "key": "plan"}, {"plan": {"secret": 1}}),
        ({"type": "string", "required": True}, None),
        ({"type": "json", "required": True}, None),
        ({"type": "string", "key": "plan", "required": True}, {}),
        ({"type": "number"}, Decimal("1e308")),
    ],
)
def test_a_value_that_does_not_fit_invalidates_the_row_and_is_never_repeated(
    declared: dict[str, Any], value: Any
) -> None:
    """A row with a value of the wrong kind is invalid; the error names the field and repeats nothing of the row."""
    with pytest.raises(RowInvalid) as invalid:
        field(declared, value)
    assert "field x" in str(invalid.value)
    assert "secret" not in str(invalid.value)


@pytest.mark.parametrize(
    ("status", "shown"), [("failed", "declined"), ("refused", "declined"), ("completed", None), (None, None)]
)
def test_a_field_may_depend_on_another_column(status: str | None, shown: str | None) -> None:
    """With ``only`` a value is shown in rows where each named column has one of the named values, and nowhere else."""
    spec = {"column": "meta", "key": "why", "only": {"status": ["failed", "refused"]}}
    assert build({"x": spec}, {"meta": {"why": "declined"}, "status": status})["x"] == shown
    with pytest.raises(RowInvalid, match="field x: column x_column was not captured"):
        build({"x": spec | {"only": {"x_column": ["a"]}}}, {"meta": {"why": "declined"}})


def test_a_column_that_was_not_captured_invalidates_the_row() -> None:
    """A missing column is not mistaken for NULL."""
    with pytest.raises(RowInvalid, match="field x: column x_column was not captured"):
        build({"x": {"column": "x_column"}}, {})
    incomplete = {"id": 1}
    with pytest.raises(RowInvalid, match="field student_id: a look-up needs this column"):
        RowBuilder(channel(fields=ID | {"s": {"lookup": "tenant.s"}}, status="")).build(
            incomplete, {"tenant": {}}
        )


@pytest.mark.parametrize("name", ["schema", "copy", "model_config", "_hidden", "class", "with space"])
def test_any_field_name_will_do(name: str) -> None:
    """Field names are the application's own; none of them is special to the relay."""
    assert build({name: {"constant": 1}}, {})[name] == 1


def test_look_ups_enrich_the_row() -> None:
    """A look-up's column is shown like a column of the row; without a result it is null or the default."""
    fields = {
        "schools": {"lookup": "tenant.school_ids", "type": "json"},
        "one": {"lookup": "tenant.n", "default": 0, "type": "integer"},
    }
    assert build(fields, {}, {"school_ids": [1], "n": 2})["schools"] == [1]
    assert build(fields, {}, None)["one"] == 0
    assert build(fields, {"student_id": None}, {"school_ids": [1], "n": 2})["schools"] is None


def test_a_look_up_that_failed_or_lacks_the_column_invalidates_the_row() -> None:
    """What a look-up did not answer is not passed off as null."""
    fields = {"schools": {"lookup": "tenant.school_ids"}}
    with pytest.raises(RowInvalid, match="look-up tenant failed"):
        build(fields, {}, LOOKUP_FAILED)
    with pytest.raises(RowInvalid, match="gives no column school_ids"):
        build(fields, {}, {"schools": [1]})
