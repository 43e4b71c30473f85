"""Server messages are what docs/protocol.md says, byte for byte where it matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from pydantic import ValidationError

from relay import jsontext
from relay.messages import frames
from relay.messages.codes import CODES

NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def test_absent_fields_are_left_out() -> None:
    """A field without value is absent, never null."""
    assert frames.Pong().encode() == b'{"type":"pong"}'
    assert frames.Pong(id="a").encode() == b'{"type":"pong","id":"a"}'
    assert frames.Pong(id=0).encode() == b'{"type":"pong","id":0}'


def test_moments_are_written_in_utc() -> None:
    """A timestamp is ISO 8601 in UTC with Z whatever zone it came in."""
    elsewhere = NOON.astimezone(timezone(timedelta(hours=2)))
    assert jsontext.decode(frames.Checkpoint(cursor="c", as_of=elsewhere).encode()) == {
        "type": "checkpoint",
        "cursor": "c",
        "as_of": "2026-03-01T12:00:00.250000Z",
    }


def test_a_moment_without_zone_is_refused() -> None:
    """A naive timestamp is a wrong number on a dashboard and does not become a message."""
    with pytest.raises(ValidationError):
        frames.Checkpoint(cursor="c", as_of=NOON.replace(tzinfo=None))


def test_subscribed_describes_every_channel() -> None:
    """``subscribed`` carries filter, view, resumed and replayed for each channel."""
    one = frames.SubscribedChannel(filter={"status": "failed"}, view="v", resumed=True, replayed=3)
    assert jsontext.decode(frames.Subscribed(id=7, channels={"transactions": one}).encode()) == {
        "type": "subscribed",
        "id": 7,
        "channels": {
            "transactions": {"filter": {"status": "failed"}, "view": "v", "resumed": True, "replayed": 3}
        },
    }


def test_data_messages_take_the_type_of_their_channel() -> None:
    """A data message carries whatever type its channel declares, and membership only where the filter was
    crossed."""
    data = frames.Data(
        type="transaction_update",
        channel="transactions",
        id="17",
        timestamp=NOON,
        data={"action": "created", "transaction": {"amount": "150.00", "rate": Decimal("1.50")}},
    ).encode()
    assert b'"type":"transaction_update"' in data
    assert b"membership" not in data
    assert b'"rate":1.50' in data


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_makes_an_error(code: str) -> None:
    """``error`` takes its text and retryable from the table unless a text is given."""
    plain = jsontext.decode(frames.Error.of(code).encode())
    assert plain == {
        "type": "error",
        "code": code,
        "message": CODES[code].message,
        "retryable": CODES[code].retryable,
    }
    exact = jsontext.decode(frames.Error.of(code, "more exactly", id="r1", channel="c").encode())
    assert exact == plain | {"message": "more exactly", "id": "r1", "channel": "c"}


def test_goodbye_says_when_to_come_back() -> None:
    """``goodbye`` carries code, reason and a pause in milliseconds."""
    assert jsontext.decode(frames.Goodbye.of("restart", 1500).encode()) == {
        "type": "goodbye",
        "code": "restart",
        "reason": CODES["restart"].message,
        "retry_after_ms": 1500,
    }


def test_all_messages_are_listed_once() -> None:
    """The list that documentation and schema are made from holds every message class."""
    # Messages of aggregates are declared per channel, in a module of their own.
    declared = {each for each in frames.Frame.__subclasses__() if each.__module__ == frames.__name__}
    assert set(frames.SERVER_MESSAGES) == declared
    assert len(frames.SERVER_MESSAGES) == len(set(frames.SERVER_MESSAGES))
