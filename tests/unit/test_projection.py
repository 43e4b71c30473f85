"""What leaves of a row, and what counts as changed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from relay.messages.fields import KINDS
from relay.routing.projection import Projection

FIELDS = {"id": KINDS["bigint"], "amount": KINDS["decimal"], "meta": KINDS["json"], "status": KINDS["string"]}
ROW: dict[str, Any] = {"id": 7, "amount": Decimal("1.50"), "meta": {"a": 1}, "status": "paid", "secret": "x"}


def test_only_visible_fields_leave_in_json_form() -> None:
    """A field that is not in the projection does not leave, and null stays null."""
    projection = Projection(FIELDS)
    assert projection.wire(ROW) == {"id": "7", "amount": "1.50", "meta": {"a": 1}, "status": "paid"}
    assert projection.wire(ROW | {"amount": None})["amount"] is None
    assert projection.shown("amount", ROW) == "1.50"


@pytest.mark.parametrize(
    ("after", "changed"),
    [
        ({}, ()),
        ({"secret": "y"}, ()),
        ({"status": "failed", "amount": Decimal(2)}, ("amount", "status")),
        ({"amount": Decimal("1.5")}, ("amount",)),
        ({"meta": {"a": True}}, ("meta",)),
        ({"meta": {"a": 1}}, ()),
        ({"status": None}, ("status",)),
    ],
)
def test_changed_is_what_differs_on_the_wire(after: dict[str, Any], changed: tuple[str, ...]) -> None:
    """A visible field has changed if its JSON differs, in order of declaration; hidden fields are never named."""
    assert Projection(FIELDS).changed(ROW, ROW | after) == changed


def test_a_status_that_is_not_visible_is_none() -> None:
    """A projection without the status field tells nothing of it."""
    assert Projection(FIELDS, "status").status == "status"
    assert Projection(FIELDS, "secret").status == ""
