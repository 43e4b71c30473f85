"""The end of a relay at a bad moment."""

from __future__ import annotations

import asyncio

import pytest

from relay.capture.gate import Gate
from relay.capture.listener import Listener
from relay.errors import CaptureDegraded
from tests.support.database import Database
from tests.support.relay import running_relay, settings_for


async def test_a_relay_that_is_losing_its_sessions_ends_when_told_to(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order to stop may come while one session has failed and the others are still being ended."""
    fail, ending = asyncio.Event(), asyncio.Event()

    async def fails(self: Listener) -> None:
        await fail.wait()
        raise CaptureDegraded("lost")

    async def ends_slowly(self: Gate) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.sleep(0.2)

    monkeypatch.setattr(Listener, "run", fails)
    monkeypatch.setattr(Gate, "run", ends_slowly)
    slowly = {"backoff_initial_ms": 10_000, "backoff_max_seconds": 10}
    async with asyncio.timeout(20):
        async with running_relay(settings_for(database.daemon_dsn, capture=slowly)):
            fail.set()
            await ending.wait()
