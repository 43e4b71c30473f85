"""Stop an async method at its beginning or end, to force an interleaving instead of hoping for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

__all__ = ["Turnstile"]


class Turnstile:
    """Replaces ``target.name`` by one that waits, before or after the real call, until :meth:`open`.

    ``arrived`` is set whenever a call waits. After ``open`` calls pass freely.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, target: object, name: str, *, when: str = "after"
    ) -> None:
        self.arrived = asyncio.Event()
        self.calls = 0
        self._gate = asyncio.Event()
        real = getattr(target, name)

        async def stopped(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if when == "before":
                await self._wait()
                return await real(*args, **kwargs)
            result = await real(*args, **kwargs)
            await self._wait()
            return result

        monkeypatch.setattr(target, name, stopped)

    async def _wait(self) -> None:
        self.arrived.set()
        await self._gate.wait()

    def open(self) -> None:
        """Let everybody through."""
        self._gate.set()
