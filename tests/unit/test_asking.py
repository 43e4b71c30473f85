"""Queries of ``/api/``: what they ask for, and what is wrong with them."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from relay.gateway.asking import MOST_SECONDS, read_events, read_snapshot
from relay.gateway.http import RefusedByHttp


def test_everything_may_be_said() -> None:
    """A query says what a subscribe says, and how long its client will wait."""
    filters, views = quote('{"a":{"amount":{"gte":"1"}}}'), quote('{"a":"v1"}')
    asked = read_events(
        f"channels=a%2Cb&filters={filters}&views={views}&snapshot=5&since=AQ_-x&wait=2.5&else=1"
    )
    assert asked.request.channels == ["a", "b"]
    assert asked.request.filters == {"a": {"amount": {"gte": "1"}}}
    assert asked.request.views == {"a": "v1"}
    assert (asked.request.snapshot, asked.request.since, asked.wait) == (5, "AQ_-x", 2.5)


def test_what_is_left_out_is_left_out() -> None:
    """Only the channels are required; an empty parameter is one that was left out."""
    asked = read_events("channels=a&since=&filters=&wait=")
    assert (asked.request.since, asked.request.filters, asked.request.snapshot) == (None, {}, None)
    assert asked.wait == MOST_SECONDS


def test_a_snapshot_is_of_one_channel() -> None:
    """Its filter is the channel's, and it asks for some rows whatever is said."""
    request = read_snapshot("channel=a&filter=" + quote('{"status":"failed"}'))
    assert (request.channels, request.filters, request.snapshot) == (["a"], {"a": {"status": "failed"}}, 100)
    assert read_snapshot("channel=a,b").channels == ["a,b"]


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(["channels=", "a", "&", "%", "wait=", "{", "9", "="])).map("".join)
)
def test_no_query_is_too_strange(query: str) -> None:
    """Whatever is in a query, it is read or refused, and never in words of its own."""
    for read in (read_events, read_snapshot):
        refused: RefusedByHttp | None = None
        try:
            read(query)
        except RefusedByHttp as why:
            refused = why
        assert refused is None or (
            refused.code == "bad_request" and len(refused.message or "") in range(1, 100)
        )
