"""Frames and bytes: what breaks the protocol, what arrives in pieces, and who hangs up."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from websockets.frames import Frame, Opcode

from relay.gateway import connection as connection_module
from relay.gateway.websocket import WebSocket
from tests.support.gateway import (
    PATH,
    Room,
    hear,
    make_token,
    opened,
    read_all,
    unharmed,
    welcome,
)
from tests.support.waiting import eventually


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


async def test_endless_fragments_are_refused() -> None:
    """A message in more frames than any client would make is too big, however short it is."""
    async with opened() as room, room.client() as client:
        await welcome(client)
        client.transport.write(Frame(Opcode.TEXT, b"", fin=False).serialize(mask=True))
        client.transport.write(Frame(Opcode.CONT, b"", fin=False).serialize(mask=True) * 1000)
        messages, close = await read_all(client)
        assert ([m["code"] for m in messages], close) == (["message_too_big"], 1009)


@pytest.mark.parametrize(
    "last", [Frame(Opcode.CONT, b"x"), Frame(Opcode.CLOSE, b"\x03\xe8"), Frame(Opcode.TEXT, b"no json")]
)
async def test_a_client_that_does_not_hang_up_is_hung_up_on(
    last: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last frame the client has a moment to close the TCP connection; then the relay does."""
    monkeypatch.setattr(WebSocket, "linger_seconds", 0.1)
    monkeypatch.setattr(connection_module, "LINGER", 0.1)
    async with opened() as room:
        reader, writer = await upgraded(room)
        writer.write(last.serialize(mask=True))
        await reader.read()  # everything up to the end of the stream, and the socket stays open
        await eventually(lambda: room.services.limits.taken == 0 and not room.gateway.connections)
        writer.close()


async def upgraded(room: Room) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection after its upgrade, by hand, whose owner never hangs up by itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(opening(room))
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def opening(room: Room) -> bytes:
    """A good opening request."""
    return (
        f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{room.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: Bearer {make_token()}\r\n\r\n"
    ).encode()


async def test_a_client_that_leaves_at_any_moment_holds_no_seat() -> None:
    """However early a client is gone, before, during or after its upgrade, its seat comes back."""
    async with opened() as room:
        for pauses in range(12):
            _, writer = await asyncio.open_connection("127.0.0.1", room.port)
            writer.write(opening(room))
            for _ in range(pauses):
                await asyncio.sleep(0)
            writer.transport.abort()
        await eventually(lambda: room.services.limits.taken == 0 and not room.gateway.connections)
        async with room.client() as client:
            await welcome(client)


async def test_frames_before_the_upgrade_are_not_read() -> None:
    """A client that sends frames together with its request is cut off: it cannot know yet that it is let
    in."""
    async with opened() as room:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        writer.write(opening(room) + Frame(Opcode.TEXT, b'{"type":"ping"}').serialize(mask=True))
        with contextlib.suppress(ConnectionError):
            assert b"pong" not in await reader.read()
        writer.close()
        await eventually(lambda: room.services.limits.taken == 0)


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
