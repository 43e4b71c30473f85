"""Client messages are read strictly where it matters and leniently where versions may differ."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.messages import requests


def read(**message: Any) -> requests.Request:
    """The request in one message."""
    return requests.parse(json.dumps(message))


def refused(text: str) -> requests.BadRequest:
    """What ``text`` is refused with."""
    with pytest.raises(requests.BadRequest) as caught:
        requests.parse(text)
    return caught.value


def test_subscribe_needs_channels_alone() -> None:
    """All fields of ``subscribe`` but ``channels`` are optional, and null is as good as absent."""
    plain = read(type="subscribe", channels=["transactions"])
    nulls = read(
        type="subscribe",
        channels=["transactions"],
        filters=None,
        snapshot=None,
        since=None,
        views=None,
        id=None,
    )
    inner = read(
        type="subscribe", channels=["transactions"], filters={"transactions": None}, views={"x": None}
    )
    assert plain == nulls == inner
    assert isinstance(plain, requests.Subscribe)
    assert (plain.filters, plain.snapshot, plain.since, plain.views) == ({}, None, None, {})


def test_filters_pass_untouched() -> None:
    """A filter of any shape reaches the filter parser, which is the one to judge it."""
    request = read(type="subscribe", channels=["c"], filters={"c": {"amount": {"gte": "100"}}, "d": [1]})
    assert isinstance(request, requests.Subscribe)
    assert request.filters == {"c": {"amount": {"gte": "100"}}, "d": [1]}


def test_unknown_fields_are_ignored() -> None:
    """A newer client that sends more fields is understood."""
    assert read(type="ping", id="a", mood="good") == requests.Ping(id="a")


@pytest.mark.parametrize(
    "text", ["", "no", "{", '{"type":"ping"', "[" * 50_000, '{"a":1e99999999999999999999}', '"\ud800"']
)
def test_what_is_no_json_is_told_so(text: str) -> None:
    """Text that is not JSON, is nested without end or holds an impossible number is ``not_json``."""
    assert refused(text).code == "not_json"


@pytest.mark.parametrize("text", ["[]", "1", "null", '"ping"', "{}", '{"type":5}', '{"type":null}'])
def test_a_message_is_an_object_with_a_type(text: str) -> None:
    """JSON that is no object with a string ``type`` is ``malformed``."""
    assert refused(text).code == "malformed"


def test_an_unknown_type_is_named_and_keeps_its_id() -> None:
    """An unknown type is answered with an error that names it, cut short, under the id of the request."""
    bad = refused(json.dumps({"type": "shout" * 100, "id": "r"}))
    assert (bad.code, bad.id) == ("unknown_type", "r")
    assert bad.message is not None
    assert "shoutshout" in bad.message
    assert len(bad.message) < 100


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"type": "subscribe"}, "channels"),
        ({"type": "subscribe", "channels": "transactions"}, "channels"),
        ({"type": "subscribe", "channels": []}, "channels"),
        ({"type": "subscribe", "channels": [5]}, "channels"),
        ({"type": "subscribe", "channels": ["a" * 65]}, "channels"),
        ({"type": "subscribe", "channels": ["c"], "snapshot": 501}, "snapshot"),
        ({"type": "subscribe", "channels": ["c"], "snapshot": -1}, "snapshot"),
        ({"type": "subscribe", "channels": ["c"], "snapshot": "10"}, "snapshot"),
        ({"type": "subscribe", "channels": ["c"], "snapshot": True}, "snapshot"),
        ({"type": "subscribe", "channels": ["c"], "since": 5}, "since"),
        ({"type": "subscribe", "channels": ["c"], "views": ["v"]}, "views"),
        ({"type": "subscribe", "channels": ["c"], "filters": []}, "filters"),
        ({"type": "unsubscribe"}, "channels"),
        ({"type": "auth"}, "token"),
        ({"type": "auth", "token": {"jwt": "secret"}}, "token"),
        ({"type": "ping", "id": 1.5}, "id"),
        ({"type": "ping", "id": True}, "id"),
        ({"type": "ping", "id": "x" * 129}, "id"),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not_repeated(message: dict[str, Any], field: str) -> None:
    """A field of the wrong type is an ``invalid_request`` that names type, field and what it takes, and no value."""
    bad = refused(json.dumps(message))
    assert bad.code == "invalid_request"
    assert bad.message is not None
    assert bad.message.startswith(f"{message['type']}.{field} must be a")
    assert "Input" not in bad.message
    assert "secret" not in bad.message


def test_every_field_says_what_it_takes() -> None:
    """No field of a request can be wrong without a sentence about it."""
    fields = {name for model in requests.CLIENT_MESSAGES for name in model.model_fields} - {"type"}
    assert fields == set(requests._MUST_BE)


def test_a_token_is_not_shown_by_its_request() -> None:
    """The text form of ``auth`` leaves the token out, for logs and tracebacks."""
    assert "secret" not in repr(read(type="auth", token="secret"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(
    st.text(max_size=60)
    | st.builds(json.dumps, JSON)
    | st.builds(
        lambda kind, rest: json.dumps({**rest, "type": kind}),
        st.sampled_from(["auth", "subscribe", "unsubscribe", "ping", "x"]),
        st.dictionaries(
            st.sampled_from(["id", "token", "channels", "filters", "snapshot", "since", "views"]), JSON
        ),
    )
)
def test_whatever_comes_is_a_request_or_refused(text: str) -> None:
    """No text makes the parser raise anything but BadRequest."""
    try:
        code = "" if isinstance(requests.parse(text), requests.CLIENT_MESSAGES) else "?"
    except requests.BadRequest as bad:
        code = bad.code
    assert code in {"", "not_json", "malformed", "unknown_type", "invalid_request"}
