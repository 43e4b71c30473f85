"""A capture side under test: what it hands out is kept, and its turning points can be held."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from relay.capture.batch import Batch, CaptureStatus
from relay.capture.change import Change
from relay.capture.cursor import Cursor
from relay.capture.source import Capture
from relay.capture.stats import Observer
from relay.config import Settings
from tests.support.database import Database
from tests.support.waiting import eventually

__all__ = ["Stage", "Watcher", "capturing", "make_table"]


class Stage(Observer):
    """Counts the turning points, and holds the relay at those it is told to: ``async with stage.hold("granted")``."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.states: list[str] = []
        self._held: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}

    @contextlib.asynccontextmanager
    async def hold(self, point: str) -> AsyncIterator[asyncio.Event]:
        """Until the end of the block, whoever comes to ``point`` stays there. The event tells that somebody did."""
        reached, go = self._held[point] = (asyncio.Event(), asyncio.Event())
        try:
            yield reached
        finally:
            del self._held[point]
            go.set()

    async def _pass(self, point: str) -> None:
        self.passed[point] += 1
        if point in self._held:
            reached, go = self._held[point]
            reached.set()
            await go.wait()

    async def state_changed(self, state: str) -> None:
        self.states.append(state)
        await self._pass(state)

    async def polling(self) -> None:
        await self._pass("polling")

    async def polled(self, rows: int) -> None:
        await self._pass("polled")

    async def requested(self) -> None:
        await self._pass("requested")

    async def granted(self) -> None:
        await self._pass("granted")

    async def released(self) -> None:
        await self._pass("released")


class Watcher:
    """Everything that one capture has handed out."""

    def __init__(self, capture: Capture, stage: Stage) -> None:
        self.capture = capture
        self.stage = stage
        self.batches: list[Batch] = []
        self.statuses: list[CaptureStatus] = []
        #: Called with each batch before it is kept; may wait, or raise.
        self.on_batch: Callable[[Batch], Any] | None = None

    async def sink(self, batch: Batch) -> None:
        if self.on_batch is not None and (waiting := self.on_batch(batch)) is not None:
            await waiting
        self.batches.append(batch)

    @property
    def changes(self) -> list[Change]:
        """All changes, in the order they came."""
        return [change for batch in self.batches for change in batch.changes]

    @property
    def ids(self) -> list[int]:
        """Their event ids."""
        return [change.id for change in self.changes]

    def values(self, source: str) -> list[Any]:
        """The column ``v`` of the new rows of one source, in the order they came."""
        return [change.new["v"] for change in self.changes if change.source == source and change.new]

    @property
    def gaps(self) -> list[str]:
        """The reasons of all gaps."""
        return [batch.gap.reason for batch in self.batches if batch.gap]

    @property
    def cursor(self) -> Cursor:
        """The last one that was published."""
        return Cursor.decode(next(batch.cursor for batch in reversed(self.batches) if batch.cursor))

    async def sees(self, source: str, *values: str) -> None:
        """Return once the newest values of ``source`` are these."""
        await eventually(lambda: self.values(source)[-len(values) :] == list(values))

    @property
    def state(self) -> str:
        """Awake, drowsy, asleep or down."""
        return self.capture.stats.state

    async def asleep(self) -> None:
        """Return once it sleeps."""
        await eventually(lambda: self.state == "asleep")

    async def caught_up(self, database: Database) -> None:
        """Return once every row that is in the outbox now has come."""
        ids = {row[0] for row in await database.execute("SELECT id FROM relay.event")}
        await eventually(lambda: ids <= set(self.ids))


@contextlib.asynccontextmanager
async def capturing(
    dsn: str,
    *sources: str,
    capture: Mapping[str, Any] | None = None,
    database: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    start: bool = True,
) -> AsyncIterator[Watcher]:
    """A running capture of ``sources``, ended at the end of the block; an error of its own comes out there."""
    settings = Settings.model_validate(
        {"database": {"dsn": dsn, **(database or {})}, "capture": capture or {}, "limits": limits or {}}
    )
    stage = Stage()
    source = Capture(settings, frozenset(sources), observer=stage)
    watcher = Watcher(source, stage)
    if start:
        await source.start()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(source.run(watcher.sink, watcher.statuses.append))
        try:
            await eventually(lambda: watcher.batches or not start)
            yield watcher
        finally:
            running.cancel()


async def make_table(database: Database, name: str) -> str:
    """A watched table ``public.NAME`` with columns id and v; its source."""
    await database.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, v text)"
    )
    await database.execute(f"SELECT relay.watch('public.{name}', ARRAY['id', 'v'])")
    return f"public.{name}"
