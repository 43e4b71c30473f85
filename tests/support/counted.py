"""Aggregates over a real database, by a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from relay.capture.batch import Batch, CaptureStatus
from relay.capture.census.census import Census
from relay.capture.source import Capture
from relay.config import Settings
from relay.gateway.counting import Counting
from relay.routing.aggregates.aggregate import compile_aggregates
from relay.routing.aggregates.audit import Difference
from relay.routing.aggregates.rooms import Aggregates
from relay.routing.needs import needs
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from relay.gateway.services import Services

__all__ = ["Clock", "Counted", "counted"]


@dataclass
class Clock:
    """The time by which is counted. It only goes on when it is told to."""

    now: datetime


class _Clocked:
    """A capture side whose counts are as of a clock."""

    def __init__(self, capture: Capture, clock: Clock) -> None:
        self._capture = capture
        self._clock = clock

    async def poll_now(self, *, check: bool = True) -> None:
        await self._capture.poll_now(check=check)

    @contextlib.asynccontextmanager
    async def census(self) -> AsyncIterator[Census]:
        async with self._capture.census(now=self._clock.now) as census:
            yield census


class Counted:
    """The aggregates of one configuration, being counted and moved."""

    def __init__(self, capture: Capture, aggregates: Aggregates, counting: Counting, clock: Clock) -> None:
        self.capture = capture
        self.aggregates = aggregates
        self.clock = clock
        self._counting = counting

    async def known(self) -> None:
        """Return once there are numbers of every aggregate."""
        await eventually(lambda: all(room.values is not None for room in self.aggregates))

    async def audit(self, name: str) -> list[Difference]:
        """Compare with SQL at this moment, whatever is being written; again if it was counted anew meanwhile."""
        while (found := await self._counting.audit(name)) is None:
            await self.known()
        return found

    async def audit_all(self) -> list[Difference]:
        """All aggregates."""
        return [each for room in self.aggregates for each in await self.audit(room.aggregate.name)]


@contextlib.asynccontextmanager
async def counted(settings: Settings, clock: Clock) -> AsyncIterator[Counted]:
    """Count the aggregates of ``settings`` until the end of the block."""
    wanted = needs(settings)
    capture = Capture(settings, frozenset(wanted))
    await capture.start()
    columns = await capture.columns(frozenset(wanted))
    aggregates = Aggregates(
        compile_aggregates(settings.aggregates, {source: known.types for source, known in columns.items()})
    )
    services = SimpleNamespace(aggregates=aggregates, capture=_Clocked(capture, clock), settings=settings)
    counting = Counting(cast("Services", services))

    async def sink(batch: Batch) -> None:
        counting.published(replace(batch, as_of=clock.now))

    def status(now: CaptureStatus) -> None:
        if not now.ok:
            counting.interrupted()

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(capture.run(sink, status)), tasks.create_task(counting.run())]
        try:
            yield Counted(capture, aggregates, counting, clock)
        finally:
            for task in running:
                task.cancel()
