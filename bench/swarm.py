"""Many WebSocket clients in one process, cheap enough not to be what is measured: ``python -m bench.swarm URL N``.

It reads commands from standard input and answers each with one line of JSON: ``await COUNT`` when every client has had
so many more data messages, ``latencies`` with how old they were on arrival. The token is in BENCH_TOKEN.

Messages are counted and dated by searching the bytes: parsing 100,000 of them a second as JSON would take the core that
the relay is to be measured on.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import secrets
import sys
import time
from datetime import datetime
from urllib.parse import urlsplit

from bench.rounds import percentile
from bench.serving import CHANNEL

__all__ = ["Client", "mask_text"]

DATA = b'{"type":"transaction_update"'
SUBSCRIBED = b'"type":"subscribed"'
CHECKPOINT = b'"type":"checkpoint"'
TIMESTAMP = re.compile(rb'"timestamp":"([^"]+)"')
#: Longer than anything that is looked for; so much of a chunk is looked at again with the next one.
OVERLAP = len(DATA) - 1
CONNECTING_AT_ONCE = 50
SIGN_SECONDS = 10


def mask_text(text: str) -> bytes:
    """A text frame as a client writes it (RFC 6455 §5.3), for messages from 126 to 65,535 bytes or shorter."""
    data, key = text.encode(), secrets.token_bytes(4)
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + key + bytes(byte ^ key[n % 4] for n, byte in enumerate(data))


class Client(asyncio.Protocol):
    """One connection. ``received`` counts data messages, ``ages`` are theirs in seconds if ``dated``."""

    def __init__(self, request: bytes, subscribe: bytes, dated: bool) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = 0
        self.ages: list[float] = []
        self.changed: asyncio.Event | None = None
        self._request, self._subscribe, self._dated = request, subscribe, dated
        self._upgraded = False
        self._tail = b""
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count what came."""
        if not self.ready.done():
            self._greet(data)
            return
        chunk = self._tail + data
        self._tail = chunk[-OVERLAP:]
        self.received += chunk.count(DATA)
        if self._dated:
            now = time.time()
            # A timestamp cut in two by the end of a chunk is one measurement less.
            self.ages += [
                now - datetime.fromisoformat(at.decode()).timestamp() for at in TIMESTAMP.findall(data)
            ]
        if self.changed is not None:
            self.changed.set()

    def sign_of_life(self) -> None:
        """Say something. Pings are not answered here, for frames are not looked at; a silent client is let go."""
        self._transport.write(mask_text('{"type":"ping"}'))

    def _greet(self, data: bytes) -> None:
        self._head += data
        if not self._upgraded and b"\r\n\r\n" in self._head:
            if b" 101 " not in self._head[:20]:
                self.ready.set_exception(RuntimeError(f"refused: {self._head[:200]!r}"))
                return
            self._upgraded = True
            self._transport.write(self._subscribe)
        # The checkpoint ends the answer to a subscribe, so nothing of it is counted later.
        subscribed = self._head.find(SUBSCRIBED)
        if subscribed >= 0 and self._head.find(CHECKPOINT, subscribed) >= 0:
            self.ready.set_result(None)
            self._head = b""

    def connection_lost(self, exc: Exception | None) -> None:
        """A client that is gone would be waited for in vain."""
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(f"closed while connecting: {self._head[-200:]!r}"))
        elif self.changed is not None:
            self._tail = b""
            self.received = -1
            self.changed.set()


def _handshake(url: str, token: str) -> bytes:
    parts = urlsplit(url)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    return (
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


async def _connect(url: str, number: int, dated: bool) -> list[Client]:
    loop = asyncio.get_running_loop()
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
    request = _handshake(url, os.environ["BENCH_TOKEN"])
    subscribe = mask_text(json.dumps({"type": "subscribe", "channels": [CHANNEL]}))
    room = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def connect() -> Client:
        async with room:
            _, client = await loop.create_connection(lambda: Client(request, subscribe, dated), host, port)
            await client.ready
            return client

    return list(await asyncio.gather(*(connect() for _ in range(number))))


async def _await(clients: list[Client], wanted: int) -> None:
    changed = asyncio.Event()
    for client in clients:
        client.changed = changed
    while (fewest := min(client.received for client in clients)) < wanted:
        if fewest < 0:
            raise RuntimeError("the relay let a client go")
        changed.clear()
        await changed.wait()
    for client in clients:
        client.received -= wanted
        client.changed = None


async def main(url: str, number: int, dated: bool) -> None:
    """Connect, then do as told until standard input ends."""
    clients = await _connect(url, number, dated)
    print(json.dumps({"ready": len(clients)}), flush=True)
    loop = asyncio.get_running_loop()
    living = asyncio.create_task(_live(clients))
    while command := (await loop.run_in_executor(None, sys.stdin.readline)).split():
        answer: dict[str, float] = {}
        if command[0] == "await":
            await _await(clients, int(command[1]))
        elif command[0] == "latencies":
            ages = [age for client in clients for age in client.ages]
            for client in clients:
                client.ages.clear()
            answer = {"count": len(ages)}
            if ages:
                answer |= {"p50": percentile(ages, 0.5), "p99": percentile(ages, 0.99), "max": max(ages)}
        print(json.dumps(answer), flush=True)
    living.cancel()


async def _live(clients: list[Client]) -> None:
    while True:
        await asyncio.sleep(SIGN_SECONDS)
        for client in clients:
            client.sign_of_life()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), "dated" in sys.argv[3:]))
