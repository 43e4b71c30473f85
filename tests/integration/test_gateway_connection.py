"""A connection from its welcome to its close frame, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from relay.gateway import connection as connection_module
from relay.gateway import heartbeat as heartbeat_module
from relay.gateway.websocket import WebSocket
from relay.messages.frames import Withheld
from tests.support.gateway import Room, make_settings, make_token, opened, read_all, status
from tests.support.waiting import eventually


async def welcome(client: ClientConnection) -> dict[str, Any]:
    """The first message of a connection."""
    message: dict[str, Any] = json.loads(await client.recv())
    assert message["type"] == "welcome", message
    return message


async def say(client: ClientConnection, **message: Any) -> None:
    """Send one message."""
    await client.send(json.dumps(message))


async def hear(client: ClientConnection) -> dict[str, Any]:
    """The next message."""
    message: dict[str, Any] = json.loads(await client.recv())
    return message


async def unharmed(room: Room, client: ClientConnection) -> None:
    """Another client still gets its pong and its events."""
    await say(client, type="ping", id="still there")
    assert await hear(client) == {"type": "pong", "id": "still there"}
    room.hub.publish(b'{"type":"news"}')
    assert await hear(client) == {"type": "news"}


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


@pytest.mark.parametrize(
    ("frames", "code", "close"),
    [
        ([Frame(Opcode.BINARY, b"{}")], "binary_frame", 1003),
        ([Frame(Opcode.TEXT, b"not json")], "not_json", 1007),
        ([Frame(Opcode.TEXT, b"\xff\xfe")], "not_json", 1007),
        ([Frame(Opcode.TEXT, b"[1]")], "malformed", 1002),
        ([Frame(Opcode.TEXT, b"x" * 70_000)], "message_too_big", 1009),
        (
            [Frame(Opcode.TEXT, b"x" * 40_000, fin=False), Frame(Opcode.CONT, b"x" * 40_000)],
            "message_too_big",
            1009,
        ),
        ([Frame(Opcode.CONT, b"x")], "protocol_error", 1002),
        ([Frame(Opcode.TEXT, b"x", fin=False), Frame(Opcode.TEXT, b"x")], "protocol_error", 1002),
        ([b"\xc1\x80mask"], "protocol_error", 1002),  # a bit that only extensions may set
        ([b"\x81\x00"], "protocol_error", 1002),  # not masked
        ([Frame(Opcode.CLOSE, b"\x00")], "protocol_error", 1002),
    ],
)
async def test_a_bad_frame_is_told_and_closed_and_nobody_else_notices(
    frames: list[Frame | bytes], code: str, close: int
) -> None:
    """What breaks the protocol gets an error message, then the close code of the table; other clients go
    on."""
    async with opened() as room, room.client() as other, room.client() as client:
        await welcome(other)
        await welcome(client)
        for frame in frames:
            client.transport.write(frame if isinstance(frame, bytes) else frame.serialize(mask=True))
        messages, closed = await read_all(client)
        assert ([m["code"] for m in messages], closed) == ([code], close)
        await eventually(lambda: len(room.hub.subscribers) == 1)
        await unharmed(room, other)


async def test_a_message_in_fragments_is_one_message() -> None:
    """A request that comes in several frames, with a ping in between, is read as one."""
    async with opened() as room, room.client() as client:
        await welcome(client)
        for frame in (
            Frame(Opcode.TEXT, b'{"type":', fin=False),
            Frame(Opcode.PING, b"p"),
            Frame(Opcode.CONT, b'"ping"}'),
        ):
            client.transport.write(frame.serialize(mask=True))
        assert await hear(client) == {"type": "pong"}


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


async def test_events_of_one_batch_leave_in_one_write() -> None:
    """A bundle of many messages, of every frame size, arrives whole and in order."""
    sizes = [1, 125, 126, 127, 5000, 65535, 65536, 70_000]
    messages = [json.dumps({"n": size, "x": "y" * size}).encode() for size in sizes]
    async with opened() as room, room.client(max_size=None) as client:
        await welcome(client)
        room.hub.publish(*messages)
        assert [(await hear(client))["n"] for _ in sizes] == sizes


async def test_control_frames_never_split_a_message() -> None:
    """Pings of the client are answered between messages, never within one, also while the socket is full."""
    big = json.dumps({"x": "y" * 200_000}).encode()
    async with opened() as room, room.client(max_size=None, ping_interval=None) as client:
        await welcome(client)
        pongs = []
        for _ in range(4):
            pongs.append(await client.ping())
            room.hub.publish(big, b'{"type":"end"}')
        for _ in range(4):
            assert len((await hear(client))["x"]) == 200_000
            assert await hear(client) == {"type": "end"}
        async with asyncio.timeout(5):
            for pong in pongs:
                await pong


@pytest.fixture
def quick_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow clients are cut off soon after their goodbye."""
    monkeypatch.setattr(connection_module, "LINGER_SLOW", 0.1)


@pytest.mark.usefixtures("quick_linger")
async def test_a_client_that_does_not_read_is_let_go() -> None:
    """A full buffer ends its own connection, frees its memory, and slows nobody down."""
    event = Withheld(channel="transactions", id="1").encode() * 1
    batch = [event] * 200
    async with opened(make_settings(limits={"buffer_bytes": 65536})) as room, room.client() as other:
        await welcome(other)
        async with room.client(max_queue=1) as deaf:
            await welcome(deaf)
            deaf.transport.pause_reading()
            slow = next(c for c in room.gateway.connections if c is not room.hub.subscribers[0])
            transport = slow._ws.transport
            for _ in range(5000):
                room.hub.publish(*batch)
                assert transport.get_write_buffer_size() < 2 * 65536 + 1000
                for _ in batch:
                    await hear(other)
                if slow not in room.hub.subscribers:
                    break
            assert slow.ended
            await eventually(lambda: transport.get_write_buffer_size() == 0)
        await unharmed(room, other)


@pytest.mark.usefixtures("quick_linger")
async def test_a_slow_client_that_wakes_up_is_told() -> None:
    """A client that reads again in time finds the events, a goodbye with a pause, and 1013."""
    async with (
        opened(make_settings(limits={"buffer_bytes": 4096})) as room,
        room.client(max_size=None, max_queue=None) as client,
    ):
        await welcome(client)
        client.transport.pause_reading()
        big = json.dumps({"x": "y" * 100_000}).encode()
        sent = 0
        while room.hub.subscribers:
            room.hub.publish(big)
            sent += 1
        client.transport.resume_reading()
        messages, close = await read_all(client)
        assert len(messages) == sent  # all but the one that did not fit, and the goodbye
        assert (messages[-1]["type"], messages[-1]["code"], close) == ("goodbye", "too_slow", 1013)
        assert messages[-1]["retry_after_ms"] > 0


async def test_a_large_snapshot_is_no_slowness() -> None:
    """What send_all writes goes at the client's pace and does not count against the buffer of live events."""
    rows = [json.dumps({"n": n, "x": "y" * 50_000}).encode() for n in range(200)]
    async with (
        opened(make_settings(limits={"buffer_bytes": 4096})) as room,
        room.client(max_size=None) as client,
    ):
        await welcome(client)
        (connection,) = room.gateway.connections
        sending = asyncio.ensure_future(connection.send_all(rows))
        got = 0
        while got < len(rows):
            message = await hear(client)
            if "n" in message:
                assert message["n"] == got
                got += 1
        assert await sending
        await unharmed(room, client)


async def test_a_client_that_takes_no_snapshot_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that makes no room for its snapshot in time is told goodbye; send_all says so."""
    monkeypatch.setattr(connection_module, "PACE", 0.1)
    monkeypatch.setattr(connection_module, "LINGER_SLOW", 0.1)
    rows = [b'{"x":"' + b"y" * 100_000 + b'"}'] * 500
    async with opened() as room, room.client(max_queue=1) as client:
        await welcome(client)
        client.transport.pause_reading()
        (connection,) = room.gateway.connections
        assert not await connection.send_all(rows)
        assert connection.ended
        assert not connection.send(b"{}")
        assert not await connection.send_all([b"{}"])


async def test_a_flood_of_pings_without_reading_is_cut_off() -> None:
    """A client that pings and never reads the pongs cannot fill the relay's memory."""
    async with (
        opened(make_settings(limits={"buffer_bytes": 4096})) as room,
        room.client(max_queue=1, ping_interval=None) as client,
    ):
        await welcome(client)
        (connection,) = room.gateway.connections
        transport = connection._ws.transport
        client.transport.pause_reading()
        pings = Frame(Opcode.PING, b"x" * 125).serialize(mask=True) * 1000
        largest = 0
        with contextlib.suppress(ConnectionClosed):
            while not transport.is_closing():
                client.transport.write(pings)
                await asyncio.sleep(0)
                largest = max(largest, transport.get_write_buffer_size())
        assert largest < 1_000_000
        await eventually(lambda: not room.gateway.connections)


async def test_a_token_may_be_refreshed_in_place() -> None:
    """``auth`` with a newer token of the same subject is answered by a second welcome, then by what was
    lost."""
    async with opened() as room, room.client(token=make_token(channels=["a", "b"])) as client:
        first = await welcome(client)
        await say(client, type="auth", token=make_token(channels=["b"], lives=7200))
        second = await welcome(client)
        assert second["connection"] == first["connection"]
        assert second["channels"] == ["b"]
        assert second["expires_at"] > first["expires_at"]
        assert await hear(client) == {"type": "unsubscribed", "channels": ["a"], "reason": "not_granted"}
        await unharmed(room, client)


@pytest.mark.parametrize(
    ("token", "code", "close"),
    [
        (lambda: make_token("bob"), "subject_changed", 4003),
        (lambda: make_token(channels=[]), "forbidden", 4003),
        (lambda: make_token(lives=-5), "token_expired", 4001),
        (lambda: "rubbish", "token_invalid", 4001),
    ],
)
async def test_a_refresh_with_another_token_ends_the_connection(token: Any, code: str, close: int) -> None:
    """A refresh must bring a good token of the same subject that is still granted something."""
    async with opened() as room, room.client() as client:
        await welcome(client)
        await say(client, type="auth", token=token(), id="r")
        messages, closed = await read_all(client)
        assert ([m["code"] for m in messages], closed) == ([code], close)


async def test_a_token_that_ends_is_warned_about_and_then_it_is_over() -> None:
    """Before the end comes ``token_expiring``; at the end, plus leeway, an error and 4001."""
    async with opened() as room, room.client(token=make_token(lives=1.0)) as client:
        first = await welcome(client)
        warning = await hear(client)
        assert warning == {"type": "token_expiring", "expires_at": first["expires_at"]}
        messages, close = await read_all(client)
        assert ([m["code"] for m in messages], close) == (["token_expired"], 4001)


async def test_a_refresh_postpones_the_end() -> None:
    """A client that refreshes when warned outlives its first token."""
    ends = time.time() + 1.0
    async with opened() as room, room.client(token=make_token(exp=ends)) as client:
        await welcome(client)
        assert (await hear(client))["type"] == "token_expiring"
        await say(client, type="auth", token=make_token())
        await welcome(client)
        await eventually(lambda: time.time() > ends + 0.2)
        await unharmed(room, client)


async def test_heartbeats_follow_a_poll() -> None:
    """Every interval each connection gets a checkpoint, after the database was asked."""
    async with opened(make_settings(server={"heartbeat_seconds": 0.05})) as room, room.client() as client:
        await welcome(client)
        before = room.services.capture.polls
        for _ in range(3):
            assert (await hear(client))["type"] == "checkpoint"
        assert room.services.capture.polls >= before + 2


@pytest.mark.parametrize("trouble", ["degraded", "stuck"])
async def test_heartbeats_go_on_without_the_database(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the poll fails or does not come back, the last position is repeated."""
    monkeypatch.setattr(heartbeat_module, "POLL_SECONDS", 0.05)
    async with opened(make_settings(server={"heartbeat_seconds": 0.05})) as room, room.client() as client:
        await welcome(client)
        setattr(room.services.capture, trouble, True)
        assert {(await hear(client))["cursor"] for _ in range(3)} == {"c1"}


async def test_a_silent_client_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client from which nothing is heard, pongs included, is let go; one that answers pings stays."""
    monkeypatch.setattr(heartbeat_module, "PING_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat_module, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(connection_module, "LINGER", 0.1)
    monkeypatch.setattr(connection_module, "LINGER_SLOW", 0.1)
    async with (
        opened(make_settings(server={"heartbeat_seconds": 0.05})) as room,
        room.client() as alive,
        room.client() as frozen,
    ):
        await welcome(alive)
        await welcome(frozen)
        frozen.transport.pause_reading()
        await eventually(lambda: len(room.gateway.connections) == 1)
        while (await hear(alive))["type"] != "checkpoint":
            pass
        assert len(room.gateway.connections) == 1


async def test_everybody_is_told_about_the_capture_side() -> None:
    """capture_status reaches who is connected, and who connects while it is degraded."""
    async with opened() as room, room.client() as client:
        await welcome(client)
        room.gateway.capture_status(status(False, reason="connection refused"))
        degraded = await hear(client)
        assert (degraded["type"], degraded["status"], degraded["reason"]) == (
            "capture_status",
            "degraded",
            "connection refused",
        )
        async with room.client() as late:
            await welcome(late)
            assert await hear(late) == degraded
        room.gateway.capture_status(status(True))
        healthy = await hear(client)
        assert (healthy["status"], "reason" in healthy) == ("ok", False)
        async with room.client() as later:
            await welcome(later)
            await unharmed(room, later)


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
