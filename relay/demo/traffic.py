"""Tells the stories of :mod:`relay.demo.stories` to a database, several changes a second."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from random import Random
from typing import Any

import psycopg

from relay.demo.stories import Change, Story, purchase

__all__ = ["Traffic"]

MOST_WAITING = 200  # stories that are under way at the same time


class Traffic:
    """Payment traffic on one connection, about ``rate`` changes a second, the same for the same ``seed``.

    A higher rate begins more purchases; it does not make one of them go faster, until :data:`MOST_WAITING`
    are under way. From there on the time inside the stories runs faster than the clock.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any], *, rate: float = 5.0, seed: int = 1) -> None:
        self.changes = 0
        self._connection = connection
        self._rate = rate
        self._random = Random(seed)
        self._students: list[int] = []
        self._order = itertools.count()  # decides between stories that are due at the same moment
        self._waiting: list[tuple[float, int, Story, Change]] = []
        self._now = 0.0

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            pause = await self.step()
            await asyncio.sleep(pause)

    async def step(self) -> float:
        """Make the next change and return the pause after it, in seconds.

        It is the next one of a story that is due, else the first one of a new purchase.
        """
        if not self._students:
            self._students = await self._people()
        crowded = len(self._waiting) >= MOST_WAITING
        if self._waiting and (crowded or self._waiting[0][0] <= self._now):
            due, _, story, change = heapq.heappop(self._waiting)
            self._now = max(self._now, due)
        else:
            story = purchase(self._random, self._random.choice(self._students))
            change = next(story)
        row = await self._commit(change)
        self.changes += 1
        for begun in change.begins:
            self._wait_for(begun, next(begun))
        with contextlib.suppress(StopIteration):
            self._wait_for(story, story.send(row))
        pause = self._random.expovariate(self._rate)
        self._now += pause
        return pause

    def _wait_for(self, story: Story, change: Change) -> None:
        heapq.heappush(self._waiting, (self._now + change.after, next(self._order), story, change))

    async def _commit(self, change: Change) -> tuple[Any, ...]:
        row: tuple[Any, ...] = ()
        async with self._connection.transaction():
            for statement, values in change.statements:
                cursor = await self._connection.execute(statement, values)
                if cursor.description:
                    row = await cursor.fetchone() or ()
        return row

    async def _people(self) -> list[int]:
        cursor = await self._connection.execute(
            "SELECT DISTINCT user_id FROM accounts_schoolmembership WHERE role = 'student' ORDER BY 1"
        )
        return [user for (user,) in await cursor.fetchall()]
