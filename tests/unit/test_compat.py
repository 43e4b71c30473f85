"""What old dashboards are told: only what they know, and enough for their lists to be right."""

from __future__ import annotations

from typing import Any

import pytest

from relay import jsontext
from relay.gateway.compat import PROFILES
from relay.messages.compat import TYPES, Dialect
from relay.messages.requests import Subscribe

SHAPES = {
    "transactions": ("transaction_update", "transaction"),
    "webhooks": ("webhook_event", "event"),
    "fraud_alerts": ("fraud_alert", "alert"),
    "rows": ("row_change", "row"),
}
AT = "2026-05-04T12:00:00Z"


def said(*frames: dict[str, Any]) -> list[dict[str, Any]]:
    """What becomes of these messages."""
    dialect = Dialect(SHAPES, lambda: AT)
    return [jsontext.decode(text) for text in dialect.translate([jsontext.encode(frame) for frame in frames])]


def change(channel: str = "transactions", action: str = "updated", **around: Any) -> dict[str, Any]:
    """A message about one row."""
    type, object = SHAPES[channel]
    data = {"action": action, object: {"id": "7"}, "changed": ["status"], "previous_status": "pending"}
    return {"type": type, "channel": channel, "id": "1", "timestamp": AT, "data": data, **around}


def test_a_change_keeps_its_envelope_and_loses_the_rest() -> None:
    """An old page gets type, data and timestamp, and in data the row and the action."""
    (frame,) = said(change(action="status_changed"))
    assert frame == {
        "type": "transaction_update",
        "data": {
            "transaction": {"id": "7", "payment_intent_id": "", "customer_email": "", "metadata": {}},
            "action": "status_changed",
        },
        "timestamp": AT,
    }


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "welcome"},
        {"type": "subscribed", "channels": {}},
        {"type": "checkpoint", "cursor": "x", "as_of": AT},
        {"type": "resync", "channels": ["transactions"], "reason": "pruned"},
        {"type": "capture_status", "status": "ok", "since": AT},
        {"type": "withheld", "channel": "transactions", "id": "1"},
        {"type": "token_expiring", "expires_at": AT},
        {"type": "pong"},
        change(action="deleted"),
        change(membership="left"),
        {**change(), "type": "row_change", "channel": "rows"},
    ],
)
def test_what_an_old_page_cannot_take_is_not_sent(frame: dict[str, Any]) -> None:
    """Messages invented since, deletions and rows that leave are dropped."""
    assert said(frame) == []


def test_a_snapshot_becomes_ordinary_messages_oldest_first() -> None:
    """Each row is created for who does not know it, then updated for who does; the newest row comes last."""
    rows = [{"id": "2"}, {"id": "1"}]
    frames = said({"type": "snapshot", "channel": "transactions", "rows": rows, "truncated": False})
    told = [(frame["data"]["transaction"]["id"], frame["data"]["action"]) for frame in frames]
    assert told == [("1", "created"), ("1", "updated"), ("2", "created"), ("2", "updated")]
    assert {frame["type"] for frame in frames} == {"transaction_update"}


def test_webhook_events_are_never_repeated() -> None:
    """Their list does not look at ids, so a snapshot of them is not told; an event is the row itself."""
    assert said({"type": "snapshot", "channel": "webhooks", "rows": [{"id": "1"}], "truncated": False}) == []
    (frame,) = said(change("webhooks", action="created"))
    assert frame["data"] == {"id": "7"}


def test_a_row_that_comes_into_sight_is_created_and_updated() -> None:
    """``entered`` has no word of its own in the old contract."""
    assert [frame["data"]["action"] for frame in said(change(membership="entered"))] == ["created", "updated"]


def test_an_action_that_a_type_does_not_have_is_an_update() -> None:
    """Only payments know ``status_changed``; only alerts and disputes know ``resolved``."""
    assert said(change("fraud_alerts", action="status_changed"))[0]["data"]["action"] == "updated"
    assert said(change("fraud_alerts", action="resolved"))[0]["data"]["action"] == "resolved"


def test_errors_and_goodbyes_are_told_as_they_are() -> None:
    """They are ignored by those pages and read by people."""
    error = {"type": "error", "code": "internal", "message": "…", "retryable": True}
    goodbye = {"type": "goodbye", "code": "restart", "reason": "…", "retry_after_ms": 5}
    assert said(error, goodbye) == [error, goodbye]


def test_whatever_is_said_has_a_type_those_pages_know() -> None:
    """No translation yields a type outside of the contract."""
    frames = said(change(), change("webhooks"), change("fraud_alerts"))
    assert {frame["type"] for frame in frames} <= {*TYPES}


def test_channels_that_are_not_granted_are_skipped() -> None:
    """A page that asks for everything gets what it may see, and no error for the rest."""
    asked = Subscribe(channels=["metrics", "transactions", "webhooks", "fraud_alerts", "disputes"])
    profile = PROFILES["/ws/admin/payments"]
    request = profile.asked(asked, {"transactions", "webhooks", "webhook_status"})
    assert request is not None
    assert request.channels == ["transactions", "webhooks", "webhook_status"]
    assert request.snapshot == 50
    assert profile.asked(asked, set()) is None
    assert profile.on_connect({"transactions"}) is None


@pytest.mark.parametrize(("path", "channel"), [("transactions", "transactions"), ("webhooks", "webhooks")])
def test_pages_that_send_nothing_are_subscribed_on_connect(path: str, channel: str) -> None:
    """On two of the paths the connection itself is the wish."""
    request = PROFILES[f"/ws/admin/{path}"].on_connect({"transactions", "webhooks"})
    assert request is not None
    assert request.channels == [channel]


@pytest.mark.parametrize(
    "row", [{"id": "7"}, {"id": "7", "payment_intent_id": None, "customer_email": None, "metadata": None}]
)
def test_what_old_pages_take_apart_is_always_there(row: dict[str, Any]) -> None:
    """Where there is no payment intent, or a mask has taken it away, old pages get an empty text: null crashes them. So
    with metadata, and with the amount of an alert without a payment."""
    frame = change(membership="entered")
    frame["data"]["transaction"] = row
    snapshot = {"type": "snapshot", "channel": "fraud_alerts", "rows": [row], "truncated": False}
    told = [
        next(value for key, value in each["data"].items() if key != "action")
        for each in said(frame, snapshot)
    ]
    assert len(told) == 4
    assert all((each["payment_intent_id"], each["customer_email"]) == ("", "") for each in told)
    assert all(each["metadata"] == {} for each in told)
    assert [each.get("amount") for each in told] == [None, None, "0.00", "0.00"]
