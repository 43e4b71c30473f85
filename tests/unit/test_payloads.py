"""NOTIFY payloads: typed by kind, and nothing else gets through."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.capture.payloads import Control, Event, Wake, parse, wake_with
from relay.jsontext import encode

EVENT = {
    "v": 1,
    "kind": "event",
    "source": "public.a",
    "op": "update",
    "key": {"id": 1},
    "new": {"id": 1, "v": 2},
    "old": {"id": 1, "v": 1},
    "xid": "123",
    "at": "2026-03-01T12:00:00.5+00:00",
}


def test_each_kind_has_its_model() -> None:
    """Wake, control and event are told apart by ``kind``; fields that a later version adds are no trouble."""
    assert parse('{"v":1,"kind":"wake"}') == Wake(v=1, kind="wake")
    assert parse('{"v":1,"kind":"control","subject":"42","more":[]}') == Control(
        v=1, kind="control", subject="42"
    )
    assert isinstance(parse(encode(EVENT).decode()), Event)


def test_an_event_becomes_a_change_without_an_id() -> None:
    """An event in a payload left no row, so its change has id 0; keys alone are enough."""
    event = parse(encode(EVENT | {"new": None, "old": None}).decode())
    assert isinstance(event, Event)
    change = event.change()
    assert (change.id, change.xid, change.key, change.key_only) == (0, 123, {"id": 1}, True)
    assert change.at.utcoffset() is not None


def test_a_relay_recognises_its_own_words() -> None:
    """A nonce makes a wake that other relays take no notice of."""
    payload = parse(wake_with("abc"))
    assert isinstance(payload, Wake)
    assert payload.nonce == "abc"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wake",
        "null",
        "[]",
        "{}",
        '{"kind":"wake"}',
        '{"v":"1","kind":"wake"}',
        '{"v":2,"kind":"wake"}',
        '{"v":0,"kind":"wake"}',
        '{"v":1,"kind":"order"}',
        '{"v":1,"kind":"wake","nonce":""}',
        '{"v":1,"kind":"control","subject":7}',
        "[" * 5000,
        '{"v":1e99999999999999999999,"kind":"wake"}',
        *(encode(EVENT | change).decode() for change in (
            {"op": "explode"}, {"xid": "0"}, {"xid": "9" * 20}, {"xid": 1}, {"at": "2026-03-01T12:00:00"},
            {"at": 5}, {"key": [1]}, {"source": ""}, {"v": 2},
            {"key": {"id": Decimal("1e999999")}}, {"new": {"id": Decimal("1e-999999")}},
        )),
    ],
)  # fmt: skip
def test_anything_else_is_nothing(text: str) -> None:
    """Text that is no JSON, of another version or kind, or with a field of another type gives None."""
    assert parse(text) is None


@given(st.text())
def test_no_text_raises(text: str) -> None:
    """Whatever is notified, parsing it ends in a payload or None."""
    parse(text)
