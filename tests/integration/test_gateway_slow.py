"""Clients that do not read: let go, cut off, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from relay.gateway import connection as connection_module
from relay.messages.frames import Withheld
from tests.support.gateway import (
    hear,
    make_settings,
    opened,
    read_all,
    unharmed,
    welcome,
)
from tests.support.waiting import eventually


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
