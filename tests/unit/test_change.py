"""One outbox row becomes one change, or an error that names it and quotes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from relay.capture.change import parse
from relay.errors import BadOutboxRow

AT = "2026-03-01 12:00:00.123456+00"


def row(**changed: Any) -> tuple[Any, ...]:
    """An update as the database sends it, with some columns changed."""
    columns: dict[str, Any] = {
        "id": 7,
        "xid": "4294967301",
        "at": AT,
        "source": "public.a",
        "op": "update",
        "key": '{"id": 1}',
        "new": '{"id": 1, "v": 150.00}',
        "old": '{"id": 1, "v": 1e2}',
    }
    return tuple((columns | changed).values())


def test_numbers_stay_exact() -> None:
    """A number keeps the digits that jsonb has, and ids beyond 32 bits their value."""
    change = parse(row())
    assert change.new == {"id": 1, "v": Decimal("150.00")}
    assert str(change.new["v"]) == "150.00"
    assert change.xid == 2**32 + 5
    assert change.at == datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def test_a_row_that_lost_its_image_has_its_key() -> None:
    """When the image could not be built only the key is there; a truncate has not even that and lost nothing."""
    assert parse(row(new=None, old=None)).key_only
    assert parse(row(op="delete", new=None, old=None)).key_only
    assert not parse(row(op="delete", new=None)).key_only
    assert not parse(row(op="truncate", key=None, new=None, old=None)).key_only


@pytest.mark.parametrize(
    "changed",
    [
        {"op": "explode"},
        {"op": None},
        {"xid": "x"},
        {"at": "infinity"},
        {"at": "2026-03-01 12:00:00"},
        {"at": None},
        {"new": "[1]"},
        {"new": "1"},
        {"new": "{"},
        {"new": '{"id": 1, "count": 1e999999999}'},
        {"new": '{"id": 1, "count": 1e-999999999}'},
        {"new": '{"id": 1, "deep": ' + "[" * 600 + "1" + "]" * 600 + "}"},
        {"key": '"secret"'},
        {"new": None},
        {"old": None},
        {"op": "insert"},
        {"op": "delete"},
        {"op": "truncate"},
    ],
)
def test_what_makes_no_sense_is_named_and_not_quoted(changed: dict[str, Any]) -> None:
    """A row whose columns do not fit each other is an error with its id and none of its content."""
    with pytest.raises(BadOutboxRow) as bad:
        parse(row(**changed))
    assert bad.value.event_id == 7
    assert "secret" not in str(bad.value)
    assert bad.value.__cause__ is None


@pytest.mark.parametrize("short", [(), (7,), (None, "1"), ("7", "1", AT, "a", "insert", None, None, None)])
def test_a_row_of_another_shape_is_an_error(short: tuple[Any, ...]) -> None:
    """Too few columns, or no id, is an error too."""
    with pytest.raises(BadOutboxRow):
        parse(short)
