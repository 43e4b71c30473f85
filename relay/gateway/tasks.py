"""Short work on behalf of one connection, kept inside the daemon's task group.

An idle connection owns no task: ten thousand of them would cost more memory than the connections themselves. What a
connection has to fetch runs as one task here, and whatever that task raises stays with its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Tasks"]


class Tasks:
    """Spawns tasks in ``group``; a failure goes to the spawner's ``failed`` and never ends the group."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group

    def spawn(
        self, work: Coroutine[Any, Any, None], *, failed: Callable[[Exception], None]
    ) -> asyncio.Task[None]:
        """Run ``work`` to its end. ``failed`` is called with what it raised; cancelling the task is no failure."""
        task = self._group.create_task(self._guard(work, failed))
        # Cancelled before its first step, the guard never came to it, and Python would complain of that.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _guard(self, work: Coroutine[Any, Any, None], failed: Callable[[Exception], None]) -> None:
        try:
            await work
        except Exception as error:  # one connection's trouble must not end the others' task group
            failed(error)
