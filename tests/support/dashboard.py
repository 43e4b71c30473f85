"""A dashboard for tests: one person's connection to the relay, and what it is told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from tests.support.browser import Browser
from tests.support.client import Client, Frame, connected

__all__ = ["Dashboard", "told", "watching"]


class Dashboard:
    """A subscribed connection."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._seen = 0

    async def news(self, *types: str) -> list[Frame]:
        """What it was told since this was last asked, of these types: all that was committed before this call."""
        now = datetime.now(UTC)
        await self.client.take("checkpoint", where=lambda f: datetime.fromisoformat(f["as_of"]) > now)
        fresh, self._seen = self.client.frames[self._seen :], len(self.client.frames)
        return [frame for frame in fresh if frame["type"] in types]


def told(frames: list[Frame]) -> list[tuple[str, str, str | None]]:
    """Action, status and previous status of each message."""
    rows = []
    for frame in frames:
        data: dict[str, Any] = frame["data"]
        (row,) = (data[key] for key in ("transaction", "event", "dispute", "alert") if key in data)
        rows.append((data["action"], row["status"], data.get("previous_status")))
    return rows


@contextlib.asynccontextmanager
async def watching(browser: Browser, *channels: str, snapshot: int = 0) -> AsyncIterator[Dashboard]:
    """The dashboard of whoever has signed in: a token from the backend, carried as a browser carries it."""
    grant = browser.get("/api/relay-token/").json
    protocols = ["relay.v1", f"bearer.{grant['token']}"]
    async with connected(grant["url"], origin=browser.base, subprotocols=protocols) as client:
        await client.send("subscribe", channels=channels, snapshot=snapshot)
        await client.take("checkpoint")
        yield Dashboard(client)
