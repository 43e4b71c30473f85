"""The end of a relay as its clients see it: told to come back, at moments that differ, and closed with
1012."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection

from relay.gateway.connection import Connection
from relay.gateway.heartbeat import sliced

__all__ = ["drain"]

#: Milliseconds before the first may come back, about the time a new process needs to listen.
FIRST_MS = 250
#: Milliseconds over which the returns are spread: at least, and per connection.
SPREAD_MS = 2000
SPREAD_PER_CONNECTION_MS = 2


async def drain(connections: Collection[Connection], empty: asyncio.Event) -> None:
    """Say goodbye to all of ``connections`` and wait until they are gone. Nobody may be added meanwhile.

    ``empty`` is set by the owner of ``connections`` while there is none.
    """
    spread = max(SPREAD_MS, SPREAD_PER_CONNECTION_MS * len(connections))
    for some in sliced(connections):
        for connection in some:
            connection.goodbye("restart", retry_after_ms=FIRST_MS + random.randint(0, spread))
        await asyncio.sleep(0)
    await empty.wait()
