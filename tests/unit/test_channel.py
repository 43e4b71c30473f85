"""Channels compiled from their declarations."""

from __future__ import annotations

from typing import Any

import pytest

from relay.errors import MappingError
from relay.routing.channel import compile_channel, compile_channels
from tests.support.routing import MEMBERS, PAYMENTS, TENANT, TYPES, channel, settings


def test_a_channel_knows_what_it_reads() -> None:
    """Fields, status, order and look-up keys need columns of the table; look-ups need those they declare to read."""
    assert channel(order="created_at desc").columns == {
        PAYMENTS: {"id", "amount", "status", "note", "student_id", "created_at"},
        MEMBERS: {"user_id", "school_id"},
    }


def test_hidden_fields_are_for_policies_alone() -> None:
    """What clients may see and filter on is the visible fields; policies may name all."""
    payments = channel()
    assert "school_ids" not in payments.visible
    assert "school_ids" in payments.kinds
    assert "school_ids" not in payments.projection.fields


def test_kinds_follow_the_column_unless_declared() -> None:
    """Undeclared fields are of their column's kind: bigint and numeric leave as strings."""
    fields = {
        "key": {"column": "id"},
        "amount": {"column": "amount"},
        "meta": {"column": "meta", "keys": ["plan"]},
    }
    kinds = {name: kind.name for name, kind in channel(fields=fields, status="").visible.items()}
    assert kinds == {"key": "bigint", "amount": "decimal", "meta": "json"}


def test_a_mapped_field_is_a_string() -> None:
    """A map gives strings whatever its column is."""
    fields = {"id": {"column": "id"}, "paid": {"column": "paid", "map": {"true": "yes"}}}
    assert channel(fields=fields).visible["paid"].name == "string"


def test_a_status_that_is_not_shown_is_not_told() -> None:
    """Only a visible field can make an update a status change."""
    fields = {"id": {"column": "id"}, "state": {"column": "status", "hidden": True}}
    assert channel(fields=fields).projection.status == ""
    assert channel().projection.status == "status"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"fields": {"id": {"column": "idd"}}},
            'channels.payments.fields.id names column "idd", which table public.payment',
        ),
        ({"status": "state"}, 'channels.payments.status names column "state"'),
        ({"order": "made_at desc"}, 'channels.payments.order names column "made_at"'),
        (
            {"lookups": {"tenant": TENANT | {"key": "pupil_id"}}},
            'channels.payments.lookups.tenant.key names column "pupil_id"',
        ),
        ({"fields": {"note": {"column": "note"}}}, 'shows no field for key column "id"'),
        ({"fields": {"id": {"column": "id"}, "any_of": {"column": "note"}}}, "rename the field"),
        (
            {"fields": {"id": {"column": "id"}, "paid": {"column": "paid", "default": "perhaps"}}},
            "fields.paid.default is not of type boolean",
        ),
        (
            {"fields": {"id": {"column": "id"}, "made": {"column": "created_at", "type": "integer"}}},
            'channels.payments.fields.made has type "integer", which no value of column "created_at"',
        ),
        (
            {"fields": {"id": {"column": "id"}, "rate": {"constant": "high", "type": "number"}}},
            "fields.rate.constant is not of type number",
        ),
    ],
)
def test_what_cannot_work_is_named_at_start(changes: dict[str, Any], named: str) -> None:
    """A column that does not exist, a row that could not be named, a literal of the wrong type: one line at start."""
    with pytest.raises(MappingError) as wrong:
        channel(**changes)
    assert named in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_channels_compile_without_a_schema() -> None:
    """Where live types are not at hand, undeclared fields take values as they come."""
    compiled = compile_channels({"payments": settings()})
    assert compiled["payments"].visible["note"].name == "auto"


def test_the_fingerprint_is_that_of_the_mapping() -> None:
    """Equal declarations have equal fingerprints; another field, type or constant makes another one."""
    assert channel().fingerprint == channel().fingerprint
    assert channel().fingerprint != channel(status="").fingerprint
    retyped = compile_channel("payments", settings(), TYPES | {"note": "integer"}, ["id"])
    assert channel().fingerprint != retyped.fingerprint
