"""The messages of the hot path."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal

from relay import jsontext
from relay.messages import data, frames

AT = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))


def test_a_data_message_has_the_shape_of_the_protocol() -> None:
    """A data message carries action, object, changed and previous_status in data, and membership beside it."""
    text = data.data(
        type="payment_update",
        channel="payments",
        id="7",
        at=AT,
        action="status_changed",
        object="payment",
        row={"id": "1", "score": Decimal("45.00")},
        changed=("status",),
        previous_status="pending",
        membership="entered",
    )
    assert text == (
        b'{"type":"payment_update","channel":"payments","id":"7","timestamp":"2026-01-01T10:00:00Z",'
        b'"data":{"action":"status_changed","payment":{"id":"1","score":45.00},"changed":["status"],'
        b'"previous_status":"pending"},"membership":"entered"}'
    )
    frames.Data.model_validate(jsontext.decode(text))


def test_what_does_not_apply_is_left_out() -> None:
    """Absent and null never mean different things: changed, previous_status and membership are left out."""
    text = data.data(type="t", channel="c", id="7", at=AT, action="deleted", object="row", row={"id": "1"})
    assert jsontext.decode(text)["data"] == {"action": "deleted", "row": {"id": "1"}}
    assert b"membership" not in text


def test_fast_and_declared_messages_are_the_same() -> None:
    """The hand-made messages are what the declared models would have sent."""
    assert data.withheld("payments", "7") == frames.Withheld(channel="payments", id="7").encode()
    assert data.checkpoint("abc", AT) == frames.Checkpoint(cursor="abc", as_of=AT).encode()
