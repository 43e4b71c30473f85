"""What leaves of a row, and what counts as changed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from relay.config_masks import MaskName
from relay.messages.fields import KINDS
from relay.routing.masks import make_mask
from relay.routing.projection import UNSCANNED, MaskedProjection, Projection

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


def masked(**names: Any) -> MaskedProjection:
    """The fields above under these masks."""
    return MaskedProjection(FIELDS, "status", {each: make_mask(mask) for each, mask in names.items()}, names)


def test_a_mask_is_over_what_would_leave() -> None:
    """A masked field leaves masked, a dropped one not at all, and neither does one whose mask cannot be applied."""
    projection = masked(id="last4", status="redact", meta="drop")
    assert projection.wire(ROW) == {"amount": "1.50", "status": "[redacted]"}
    assert projection.wire(ROW | {"id": 12345678}) == {"id": "5678", "amount": "1.50", "status": "[redacted]"}
    assert projection.shown("id", ROW) is None
    assert projection.shown("amount", ROW) == "1.50"
    assert list(projection.filterable) == ["amount"]


def test_changed_is_what_looks_different() -> None:
    """What a mask hides of a change has not changed; a dropped field is never named."""
    projection = masked(id="last4", status="redact", meta="drop")
    before = ROW | {"id": 12345678}
    assert projection.changed(before, before | {"id": 99995678, "status": "x", "meta": 5}) == ()
    assert projection.changed(before, before | {"id": 12345679}) == ("id",)
    assert projection.changed(before, before | {"id": 7, "amount": Decimal(2)}) == ("id", "amount")


def test_the_status_may_be_masked() -> None:
    """A masked status is still the status; a dropped one is none."""
    assert masked(status="redact").status == "status"
    assert masked(status="drop").status == ""


def test_a_mask_may_show_less_than_the_scan() -> None:
    """Of a card number the last four digits may be shown, where a policy says so; more than that never is."""
    fields = {"pan": KINDS["string"]}
    row = {"pan": "[removed]", UNSCANNED: {"pan": "4242424242421234"}}

    def wire(mask: MaskName) -> dict[str, Any]:
        return MaskedProjection(fields, "", {"pan": make_mask(mask, b"k" * 32)}, {"pan": mask}).wire(row)

    assert Projection(fields).wire(row) == {"pan": "[removed]"}
    assert wire("last4") == {"pan": "1234"}
    assert wire("redact") == {"pan": "[redacted]"}
    assert set(wire("hash")) == {"pan"}
    assert wire("last8") == wire("email") == wire("drop") == {}
