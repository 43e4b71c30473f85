"""What a connection says and answers, from its welcome to its close frame."""

from __future__ import annotations

from typing import Any

import pytest

from relay.gateway.websocket import WebSocket
from tests.support.gateway import (
    hear,
    make_settings,
    make_token,
    opened,
    read_all,
    say,
    unharmed,
    welcome,
)
from tests.support.waiting import eventually


async def test_a_good_token_is_welcomed() -> None:
    """A client with a good token is told what it may see, until when, and how often to expect a sign of
    life."""
    async with opened() as room, room.client() as client:
        first = await welcome(client)
        assert first.pop("connection").isalnum()
        assert first.pop("expires_at").endswith("Z")
        assert first == {
            "type": "welcome",
            "protocol": 1,
            "subject": "ada",
            "channels": ["transactions"],
            "heartbeat_seconds": 3600,
            "cursor": "c1",
        }


async def test_a_relay_that_has_no_position_yet_welcomes_without_cursor() -> None:
    """Before the first poll there is no cursor to tell."""
    async with opened() as room:
        room.hub.position = None
        async with room.client() as client:
            assert "cursor" not in await welcome(client)


async def test_requests_are_answered_with_their_ids() -> None:
    """ping, subscribe and unsubscribe are answered, each with the id it came with."""
    async with opened() as room, room.client() as client:
        await welcome(client)
        await say(client, type="ping", id=7)
        await say(client, type="subscribe", channels=["transactions"], id="s")
        await say(client, type="unsubscribe", channels=["transactions"], id="u")
        assert await hear(client) == {"type": "pong", "id": 7}
        subscribed = await hear(client)
        assert (subscribed["type"], subscribed["id"]) == ("subscribed", "s")
        assert await hear(client) == {
            "type": "unsubscribed",
            "id": "u",
            "channels": ["transactions"],
            "reason": "requested",
        }


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "what", "id": "w"}, "unknown_type"),
        ({"type": "subscribe", "id": "w"}, "invalid_request"),
        ({"type": "subscribe", "channels": "all", "id": "w"}, "invalid_request"),
    ],
)
async def test_a_request_that_is_wrong_ends_nothing(message: dict[str, Any], code: str) -> None:
    """An unknown type or a wrong field is an error with the request's id, and the connection goes on."""
    async with opened() as room, room.client() as client:
        await welcome(client)
        await say(client, **message)
        error = await hear(client)
        assert (error["type"], error["code"], error["id"], error["retryable"]) == ("error", code, "w", False)
        await unharmed(room, client)


async def test_a_client_that_talks_too_much_is_stopped() -> None:
    """Above the rate of messages a client is told and closed 4029."""
    async with opened(make_settings(limits={"messages_per_minute": 3})) as room, room.client() as client:
        await welcome(client)
        for number in range(5):
            await say(client, type="ping", id=number)
        messages, close = await read_all(client)
        assert [m["type"] for m in messages] == ["pong"] * 3 + ["error"]
        assert (messages[-1]["code"], messages[-1]["retryable"], close) == ("too_many_messages", True, 4029)


async def test_a_bug_ends_one_connection_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """An unforeseen exception closes its connection with 1011 and leaves the others alone."""
    async with opened() as room, room.client() as other, room.client() as client:
        await welcome(other)
        await welcome(client)
        await say(client, type="subscribe", channels=["bug"])
        messages, close = await read_all(client)
        assert (messages[-1]["code"], close) == ("internal", 1011)
        await unharmed(room, other)


async def test_the_client_may_close() -> None:
    """When the client closes, its code is echoed and everything about it is forgotten."""
    async with opened() as room, room.client() as client:
        await welcome(client)
        (subscriber,) = room.hub.subscribers
        await client.close(1000)
        assert client.close_code == 1000
        await eventually(lambda: not room.hub.subscribers and not room.gateway.connections)
        assert subscriber.subscriptions.closed  # type: ignore[attr-defined]
        assert room.services.limits.taken == 0


async def test_a_client_that_vanishes_is_forgotten() -> None:
    """A connection that is cut without a word leaves nothing behind."""
    async with opened() as room:
        async with room.client() as client:
            await welcome(client)
            client.transport.abort()
        await eventually(lambda: not room.hub.subscribers and room.services.limits.taken == 0)


async def test_an_open_connection_forgets_its_request() -> None:
    """The request with the token in it is not kept for the life of the connection."""
    token = make_token()
    async with opened() as room, room.client(token=None, query=f"?token={token}") as client:
        await welcome(client)
        (connection,) = room.gateway.connections
        ws = connection._ws
        assert isinstance(ws, WebSocket)
        assert ws.request is not None
        assert ws.request.path == "/"
        assert ws.response is None
