"""What keeps aggregates counted: when it asks the database, how often, and what it survives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from relay.capture.batch import Batch
from relay.capture.snapshot import Snapshot
from relay.errors import CaptureDegraded, DatabaseError
from relay.gateway import counting
from relay.gateway.counting import Counting
from relay.routing.aggregates.aggregate import compile_aggregates
from relay.routing.aggregates.rooms import Aggregates
from tests.support.aggregates import PAYMENTS, FakeScreen, Ledger, payment_settings
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from relay.gateway.services import Services

NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)


class FakeCapture:
    """A database in which nothing is found, at a moment that a test chooses."""

    def __init__(self) -> None:
        self.counting: Counting | None = None
        self.now = NOW
        self.polls = 0
        self.counts = 0
        self.trouble: Exception | None = None

    async def poll_now(self, *, check: bool = True) -> None:
        """Publish an empty batch."""
        self.polls += 1
        assert self.counting is not None
        self.counting.published(Batch((), Snapshot.of(10), self.now, "c", None))

    @contextlib.asynccontextmanager
    async def census(self) -> AsyncIterator[FakeCapture]:
        """Its own census."""
        self.counts += 1
        if self.trouble is not None:
            raise self.trouble
        yield self

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[tuple[Snapshot, datetime]]:
        """A snapshot that shows everything."""
        yield Snapshot.of(10), self.now

    async def parts(self, settings: Any) -> AsyncGenerator[tuple[str, Sequence[Sequence[Any]]], None]:
        """No rows."""
        yield "disputes", [(0,)]


@contextlib.asynccontextmanager
async def running(capture: FakeCapture) -> AsyncIterator[Counting]:
    """Count one aggregate over ``capture`` until the end of the block."""
    aggregates = Aggregates(compile_aggregates({"metrics": payment_settings()}))
    settings = SimpleNamespace(server=SimpleNamespace(heartbeat_seconds=3600))
    services = SimpleNamespace(aggregates=aggregates, capture=capture, settings=settings)
    capture.counting = counting = Counting(cast("Services", services))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(counting.run())
        try:
            yield counting
        finally:
            task.cancel()


def aggregates_of(counting: Counting) -> Aggregates:
    """The aggregates it keeps."""
    return counting._services.aggregates


async def test_nothing_is_counted_before_the_outbox_is_read() -> None:
    """The first batch says that there is a connection; then counting begins, once."""
    capture = FakeCapture()
    async with running(capture) as counting:
        await asyncio.sleep(0.05)
        assert capture.counts == 0
        await capture.poll_now()
        await eventually(lambda: aggregates_of(counting)["metrics"].values is not None)
        assert capture.counts == 1


async def test_a_new_minute_is_asked_for() -> None:
    """Shortly after the clock of the database has passed a minute there is a poll, if anybody watches."""
    capture = FakeCapture()
    capture.now = NOW + timedelta(seconds=59.5)
    async with running(capture) as counting:
        await capture.poll_now()
        room = aggregates_of(counting)["metrics"]
        await eventually(lambda: room.values is not None)
        room.join(FakeScreen())
        capture.now = NOW + timedelta(seconds=60)
        await eventually(lambda: room.as_of == capture.now)
        polls = capture.polls
        await asyncio.sleep(0.05)
        assert capture.polls == polls


async def test_what_cannot_be_counted_is_tried_ever_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first tries follow each other at once, then pauses double; another success is all it takes."""
    monkeypatch.setattr(counting, "FIRST_PAUSE", 0.1)
    capture = FakeCapture()
    capture.trouble = DatabaseError("counting failed: permission denied")
    async with running(capture) as running_counting:
        await capture.poll_now()
        await eventually(lambda: capture.counts == counting.AT_ONCE)
        began = asyncio.get_running_loop().time()
        await eventually(lambda: capture.counts == counting.AT_ONCE + 2)
        assert asyncio.get_running_loop().time() - began > 0.2
        capture.trouble = None
        await eventually(lambda: aggregates_of(running_counting)["metrics"].values is not None)


async def test_a_lost_connection_is_waited_for() -> None:
    """While there is none nothing is tried; the first batch after it begins the count, without a pause."""
    capture = FakeCapture()
    capture.trouble = CaptureDegraded("the relay is reconnecting")
    async with running(capture) as counting:
        await capture.poll_now()
        await eventually(lambda: capture.counts == 1)
        await asyncio.sleep(0.05)
        assert capture.counts == 1
        capture.trouble = None
        await capture.poll_now()
        await eventually(lambda: aggregates_of(counting)["metrics"].values is not None)
        counting.interrupted()
        assert aggregates_of(counting)["metrics"].reason == "reconnected"
        await asyncio.sleep(0.05)
        assert capture.counts == 2


async def test_a_fault_of_ours_ends_neither_the_relay_nor_the_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A change that an engine chokes on makes the numbers void, and they are counted anew."""
    capture = FakeCapture()
    async with running(capture) as counting:
        await capture.poll_now()
        room = aggregates_of(counting)["metrics"]
        await eventually(lambda: room.values is not None)
        screen = FakeScreen()
        room.join(screen)
        assert room.count is not None
        monkeypatch.setattr(room.count.engine, "apply", lambda change: 1 / 0)
        change = Ledger().write(PAYMENTS, 1, status="paid", created_at=None, amount=None)
        counting.published(Batch((change,), Snapshot.of(2000), capture.now, "c", None))
        assert (room.values, room.reason) == (None, "failed")
        await eventually(lambda: room.values is not None)
        assert capture.counts == 2
