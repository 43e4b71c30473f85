"""The referee of all messages: what it lets pass, what it names, and what old dashboards may be sent."""

from __future__ import annotations

from typing import Any

import pytest

from relay.messages.compat import TYPES
from relay.messages.compat_schema import compat_schema
from tests.support.published import Published
from tests.support.relay import settings_for

NOW = "2026-01-02T03:04:05.678901Z"
SETTINGS = settings_for("dbname=x")
ROW: dict[str, Any] = {
    "id": "7",
    "payment_intent_id": "",
    "customer_email": "a@example.org",
    "customer_name": "",
    "amount": "12.50",
    "currency": "eur",
    "status": "succeeded",
    "status_display": "Completed",
    "transaction_type": "package",
    "failure_reason": None,
    "risk_score": 40,
    "metadata": {},
    "created_at": NOW,
    "updated_at": NOW,
}


def change(**row: Any) -> dict[str, Any]:
    """A message about a payment."""
    data = {"action": "created", "transaction": ROW | row}
    return {
        "type": "transaction_update",
        "channel": "transactions",
        "id": "1",
        "timestamp": NOW,
        "data": data,
    }


@pytest.mark.parametrize(
    "frame",
    [
        change(),
        {"type": "pong"},
        {"type": "checkpoint", "cursor": "c", "as_of": NOW},
        {"type": "snapshot", "channel": "transactions", "rows": [ROW], "truncated": False},
        change() | {"data": {"action": "deleted", "transaction": {"id": "7"}}},
        change() | {"membership": "left", "data": {"action": "updated", "transaction": {"id": "7"}}},
    ],
)
def test_a_message_as_published_passes(frame: dict[str, Any]) -> None:
    """Rows, what is left of them, and the frames of the protocol."""
    Published(SETTINGS).check(frame)


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (change(amount=12.5), "data.transaction.amount"),
        (change(amount=None), "data.transaction.amount"),
        (change(amount="12,50"), "data.transaction.amount"),
        (change(metadata=[]), "data.transaction.metadata"),
        (change(created_at="yesterday"), "data.transaction.created_at"),
        (change() | {"id": 1}, "transaction_update: id"),
        (change() | {"membership": "gone"}, "membership"),
        (change() | {"data": {"action": "deleted", "transaction": {}}}, "data.transaction"),
        (change() | {"channel": "nowhere"}, "no published message"),
        ({"type": "transaction", "channel": "transactions", "data": {}}, "TransactionsShown"),
        ({"type": "checkpoint", "as_of": NOW}, "cursor"),
        (
            {"type": "snapshot", "channel": "transactions", "rows": [ROW | {"id": 7}], "truncated": False},
            "rows.0.id",
        ),
        ({"type": "snapshot", "channel": "x", "rows": [], "truncated": False}, "no published message"),
    ],
)
def test_a_message_that_is_not_as_published_is_named_with_the_place(
    frame: dict[str, Any], named: str
) -> None:
    """The type of the message, and the path to what is wrong in it."""
    with pytest.raises(AssertionError) as wrong:
        Published(SETTINGS).check(frame)
    assert str(wrong.value).startswith(frame["type"])
    assert named in str(wrong.value)


def test_where_no_relay_is_known_only_the_protocol_is_checked() -> None:
    """A gateway whose hub pretends may send any row, and no checkpoint without a cursor."""
    Published(None).check(change(amount=None))
    with pytest.raises(AssertionError, match="cursor"):
        Published(None).check({"type": "checkpoint", "as_of": NOW})


def test_old_dashboards_are_promised_six_types_and_nothing_around_them() -> None:
    """Their schema has each type once, with an action that the page knows, and allows no key beside the three."""
    schema = compat_schema(SETTINGS.channels, SETTINGS.policies, SETTINGS.aggregates)
    told = {}
    for option in schema["anyOf"]:
        definition = schema["$defs"][option["$ref"].rpartition("/")[2]]
        told[definition["properties"]["type"]["const"]] = definition
    assert set(told) == {*TYPES, "error", "goodbye"}
    for type in TYPES:
        assert told[type]["required"] == ["type", "data", "timestamp"]
        assert told[type]["additionalProperties"] is False
    assert told["dispute_update"]["properties"]["data"]["properties"]["action"] == {
        "enum": ["created", "updated", "evidence_required", "resolved"]
    }
    published = Published(SETTINGS)
    old = {"type": "transaction_update", "data": {"transaction": ROW, "action": "created"}, "timestamp": NOW}
    published.check(old, compat=True)
    for wrong in ({"id": "1"}, {"data": {"transaction": ROW, "action": "deleted"}}, {"type": "withheld"}):
        with pytest.raises(AssertionError):
            published.check(old | wrong, compat=True)
