"""Kinds of fields: what they take, how they compare, how they leave."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import jsontext
from relay.config_channels import FIELD_TYPES
from relay.errors import RowInvalid
from relay.messages.fields import KINDS, base_type, kind_of_column, never_fits, plain
from relay.routing.channel import compile_channel
from relay.routing.rows import RowBuilder
from tests.support.routing import settings


@pytest.mark.parametrize(
    ("column_type", "kind"),
    [
        ("bigint", "bigint"),
        ("int8", "bigint"),
        ("integer", "integer"),
        ("numeric(8,2)", "decimal"),
        ("double precision", "number"),
        ("character varying(20)", "string"),
        ("timestamp(3) with time zone", "timestamp"),
        ("timestamp without time zone", "timestamp"),
        ("jsonb", "json"),
        ("text[]", "json"),
        ("uuid", "string"),
        ("payment_state", "auto"),
        (None, "auto"),
    ],
)
def test_an_undeclared_field_is_of_its_columns_kind(column_type: str | None, kind: str) -> None:
    """A field without a type takes its kind from the live column; types the relay does not know pass as they are."""
    assert kind_of_column(column_type).name == kind


#: What a trigger captures of a column of each type.
CAPTURED: dict[str, tuple[Any, ...]] = {
    "text": ("abc", "12", "12.5", "true", "2026-01-31T12:00:00Z"),
    "integer": (0, 5),
    "bigint": (0, 2**60),
    "numeric(8,2)": (Decimal("1.50"), Decimal("1.00")),
    "double precision": (Decimal("0.1"), 1),
    "boolean": (True, False),
    "timestamp with time zone": ("2026-01-31T12:00:00+00:00",),
    "date": ("2026-01-31",),
    "time": ("12:00:00",),
    "uuid": ("00000000-0000-0000-0000-000000000001", "11111111-1111-1111-1111-111111111111"),
    "interval": ("1 day", "12:00:00"),
    "inet": ("10.0.0.1", "::1"),
    "jsonb": ({"a": 1}, "2026-01-31T12:00:00Z", "12", 1, True),
    "integer[]": ([], [1]),
    "payment_state": ("paid", "12", "true", "2026-01-31T12:00:00Z"),
}


@pytest.mark.parametrize("column_type", CAPTURED)
@pytest.mark.parametrize("kind", FIELD_TYPES)
def test_a_type_never_fits_a_column_exactly_if_no_value_of_it_does(kind: str, column_type: str) -> None:
    """What is refused at the start is what would have every row withheld, and nothing else."""
    fields = {
        "id": {"column": "id"},
        "note": {"column": "note", "type": kind},
    }
    rows = RowBuilder(
        compile_channel("payments", settings(fields=fields, status="", lookups={}), None, ["id"])
    )

    def fits(value: Any) -> bool:
        try:
            rows.build({"id": 1, "note": value}, {})
        except RowInvalid:
            return False
        return True

    assert never_fits(kind, column_type) is not any(map(fits, CAPTURED[column_type]))


def test_length_and_precision_are_no_part_of_a_base_type() -> None:
    """A column's type is recognised whatever its modifiers."""
    assert base_type("timestamp(3) with time zone") == "timestamp with time zone"


@pytest.mark.parametrize(
    ("kind", "value", "wire"),
    [
        ("decimal", Decimal("150.00"), "150.00"),
        ("decimal", Decimal("1E+3"), "1000"),
        ("bigint", 2**60, str(2**60)),
        ("auto", Decimal("0.10"), "0.10"),
        ("auto", Decimal("1E+999999999"), "1E+999999999"),
        ("auto", 2**53, str(2**53)),
        ("auto", 2**53 - 1, 2**53 - 1),
    ],
)
def test_exact_numbers_leave_in_a_form_that_loses_nothing(kind: str, value: Any, wire: Any) -> None:
    """Decimals keep their digits as strings, integers beyond 2^53 are strings."""
    convert = KINDS[kind].wire
    assert convert is not None
    assert convert(value) == wire
    assert type(convert(value)) is type(wire)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**12), max_value=10**12))
def test_an_amount_survives_json_digit_by_digit(amount: Decimal) -> None:
    """An amount decoded from jsonb and written out again has the same digits."""
    convert = KINDS["decimal"].wire
    assert convert is not None
    assert convert(jsontext.decode(jsontext.encode(amount))) == format(amount, "f")


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("string", 5),
        ("string", True),
        ("integer", "5.0"),
        ("integer", True),
        ("integer", Decimal("5.5")),
        ("bigint", "nine"),
        ("decimal", "12,50"),
        ("decimal", True),
        ("decimal", "NaN"),
        ("decimal", "1e999999999"),
        ("decimal", []),
        ("boolean", 1),
        ("boolean", "true"),
        ("timestamp", 1_700_000_000),
        ("timestamp", "yesterday"),
        ("timestamp", "9999-12-31T23:59:59-12:00"),
        ("json", {"a": 1}),
        ("auto", []),
    ],
)
def test_an_operand_of_the_wrong_type_is_refused(kind: str, raw: Any) -> None:
    """What a filter compares with is of the field's own kind; nothing is guessed."""
    with pytest.raises(ValueError, match=r"."):
        KINDS[kind].operand(raw)


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("decimal", "100", Decimal(100)),
        ("decimal", 100, Decimal(100)),
        ("number", Decimal("45.00"), Decimal(45)),
        ("bigint", "9007199254740993", 9007199254740993),
        ("timestamp", "2026-01-01T10:00:00Z", datetime(2026, 1, 1, 10, tzinfo=UTC)),
        ("timestamp", "2026-01-01T10:00:00", datetime(2026, 1, 1, 10, tzinfo=UTC)),
        ("timestamp", "2026-01-01T12:00:00+02:00", datetime(2026, 1, 1, 10, tzinfo=UTC)),
    ],
)
def test_an_operand_is_read_as_the_fields_kind(kind: str, raw: Any, value: Any) -> None:
    """Decimals, big integers and timestamps come as JSON writes them and compare as what they are."""
    assert KINDS[kind].operand(raw) == value


def test_driver_values_become_plain_ones() -> None:
    """What a look-up's driver returns is turned into values that JSON could hold, down to list elements."""
    id = UUID(int=5)
    assert plain({"a": (1, 2.5, id), "at": datetime(2026, 1, 1), 3: None}) == {  # noqa: DTZ001 - the point of it
        "a": [1, Decimal("2.5"), str(id)],
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "3": None,
    }
