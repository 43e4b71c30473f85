"""Waiting for an event, but not for ever."""

from __future__ import annotations

import asyncio
import contextlib

__all__ = ["wait_for"]


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Return when ``event`` is set or ``seconds`` are over. Other tasks get their turn in any case."""
    if event.is_set() or seconds <= 0:
        await asyncio.sleep(0)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
