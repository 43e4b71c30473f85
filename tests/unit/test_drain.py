"""Goodbyes are said to all and spread over time."""

from __future__ import annotations

import asyncio
from typing import cast

from relay.gateway.connection import Connection
from relay.gateway.drain import FIRST_MS, SPREAD_MS, SPREAD_PER_CONNECTION_MS, drain


class Client:
    """A connection that leaves when it is told to."""

    def __init__(self, everybody: set[Client], empty: asyncio.Event) -> None:
        self.everybody, self.empty = everybody, empty
        self.told: tuple[str, int] | None = None

    def goodbye(self, code: str, *, retry_after_ms: int) -> None:
        self.told = code, retry_after_ms
        self.everybody.discard(self)
        if not self.everybody:
            self.empty.set()


async def test_many_clients_do_not_come_back_at_once() -> None:
    """Each client is told its own pause, and the more there are, the wider they are spread."""
    for count in (10, 3000):
        empty = asyncio.Event()
        everybody: set[Client] = set()
        clients = [Client(everybody, empty) for _ in range(count)]
        everybody.update(clients)
        await drain(cast(set[Connection], everybody), empty)
        pauses = [
            client.told[1] for client in clients if client.told is not None and client.told[0] == "restart"
        ]
        spread = max(SPREAD_MS, SPREAD_PER_CONNECTION_MS * count)
        assert len(pauses) == count
        assert min(pauses) >= FIRST_MS
        assert max(pauses) <= FIRST_MS + spread
        assert max(pauses) - min(pauses) > spread / 4


async def test_an_empty_relay_is_drained_at_once() -> None:
    """Without connections there is nothing to wait for."""
    empty = asyncio.Event()
    empty.set()
    await drain(set(), empty)
