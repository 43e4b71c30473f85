"""What is written to a client at once, what is paced, and what is not written at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from relay import metrics
from relay.gateway.connection import SLICE, Connection, slices
from relay.gateway.websocket import WebSocket
from relay.gateway.wire import text_frame
from relay.routing.outlet import Bundle


class Transport:
    """A socket that takes nothing away until told to."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting = 0
        self.closing = False

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing


class Socket:
    """A WebSocket connection, as far as a client's connection uses it."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.is_open = True
        self.heard = 0.0
        self.most_waiting = 0
        self.ends: list[int] = []
        self.loop = asyncio.new_event_loop()

    def end(self, code: int, linger: float) -> None:
        self.ends.append(code)
        self.is_open = False

    async def drain(self) -> None:
        self.transport.waiting = 0


@pytest.fixture
def socket() -> Iterator[Socket]:
    """A socket with a loop that never runs."""
    made = Socket()
    yield made
    made.loop.close()


def connect(socket: Socket, room: int = 1000) -> Connection:
    """A connection over ``socket`` that may have ``room`` bytes waiting."""
    services = SimpleNamespace(settings=SimpleNamespace(limits=SimpleNamespace(buffer_bytes=room)))
    return Connection(cast(WebSocket, socket), cast(Any, services))


def test_a_bundle_is_one_write(socket: Socket) -> None:
    """All messages of a bundle leave in one write, framed once for everybody who is owed the same."""
    bundle = Bundle([b"one", b"two"])
    before = metrics.traffic.writes, metrics.traffic.messages
    assert connect(socket).offer(bundle)
    other = Socket()
    assert connect(other).offer(bundle)
    other.loop.close()
    assert socket.transport.written == [text_frame(b"one") + text_frame(b"two")]
    assert socket.transport.written[0] is other.transport.written[0]
    assert (metrics.traffic.writes, metrics.traffic.messages) == (before[0] + 2, before[1] + 4)


def test_a_bundle_that_fits_no_more_is_the_end(socket: Socket) -> None:
    """When the buffer would overflow the client is told goodbye and closed 1013; nothing is written after
    that."""
    client = connect(socket, room=1000)
    assert client.offer(Bundle([b"x" * 900]))
    assert not client.offer(Bundle([b"x" * 900]))
    assert socket.ends == [1013]
    assert b'"too_slow"' in socket.transport.written[-1]
    count = len(socket.transport.written)
    assert not client.offer(Bundle([b"late"]))
    assert not client.send(b"late")
    client.fail("internal")
    client.goodbye("restart")
    assert len(socket.transport.written) == count


def test_one_large_bundle_fits_an_empty_buffer(socket: Socket) -> None:
    """A bundle larger than the buffer is no slowness of the client, as long as nothing waits before it."""
    assert connect(socket, room=1000).offer(Bundle([b"x" * 5000]))


def test_nothing_is_written_to_a_closing_socket(socket: Socket) -> None:
    """A transport that is closing gets nothing more, however the connection came to its end."""
    client = connect(socket)
    socket.transport.closing = True
    assert not client.offer(Bundle([b"x"]))
    client.fail("invalid_request")
    assert socket.transport.written == []


def test_an_error_that_may_be_survived_ends_nothing(socket: Socket) -> None:
    """A code without close code is told and the connection goes on; with one it was the last word."""
    client = connect(socket)
    client.fail("unknown_channel", "no", id="r", channel="c")
    assert socket.ends == []
    client.fail("too_many_messages")
    assert client.ended
    assert socket.ends == [4029]


def test_a_pulse_pings_only_who_has_nothing_waiting(socket: Socket) -> None:
    """A ping into a full buffer proves nothing; silence for too long is the end."""
    client = connect(socket)
    socket.heard = 10.0
    assert client.pulse(ping=True, silent_since=5.0) == 0
    assert socket.transport.written == [b"\x89\x00"]
    assert client.pulse(ping=True, silent_since=5.0) == 2
    assert len(socket.transport.written) == 1
    client.pulse(ping=False, silent_since=11.0)
    assert socket.ends == [1013]


async def test_live_events_do_not_pay_for_a_snapshot() -> None:
    """While a large snapshot waits in the buffer live events still fit; once it is gone the bound is as
    before."""
    socket = Socket()
    client = connect(socket, room=1000)

    async def still_waiting() -> None:
        return

    socket.drain = still_waiting  # type: ignore[method-assign]
    assert await client.send_all([b"x" * 50_000])
    assert client.offer(Bundle([b"x" * 900]))
    socket.transport.waiting = 0
    client.pulse(ping=False, silent_since=-1.0)
    assert client.offer(Bundle([b"x" * 900]))
    assert not client.offer(Bundle([b"x" * 900]))
    socket.loop.close()


def test_slices_keep_order_and_size() -> None:
    """Messages are sent in runs of about the size of a slice; a larger message goes alone."""
    assert list(slices([])) == []
    messages = [b"x" * 30_000, b"y" * 30_000, b"z" * 30_000, b"w" * 200_000, b"v"]
    runs = list(slices(messages))
    assert [message for run in runs for message in run] == messages
    assert [len(run) for run in runs] == [3, 1, 1]
    assert all(sum(map(len, run[:-1])) < SLICE for run in runs)
