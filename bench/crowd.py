"""The other end of bench.swarm: clients of a relay in a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bench.serving import Serving

__all__ = ["Crowd", "crowd"]

CONNECT_SECONDS = 120
ANSWER_SECONDS = 120


class Crowd:
    """``number`` subscribed clients."""

    def __init__(self, process: asyncio.subprocess.Process, number: int) -> None:
        self.number = number
        self._process = process

    async def ask(self, *words: object) -> dict[str, Any]:
        """Send one command of bench.swarm and return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        return await self.answer(ANSWER_SECONDS)

    async def answer(self, within: float) -> dict[str, Any]:
        """The next line the clients write. RuntimeError when they ended, TimeoutError when they are silent."""
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the clients ended; what they wrote to standard error says why")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.asynccontextmanager
async def crowd(relay: Serving, number: int, *, dated: bool = False) -> AsyncIterator[Crowd]:
    """Connect so many clients to ``relay``, and hand them over once all are subscribed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.swarm", relay.url, str(number), *(["dated"] if dated else []),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "BENCH_TOKEN": relay.token}, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    people = Crowd(process, number)
    try:
        await people.answer(CONNECT_SECONDS)
        yield people
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
