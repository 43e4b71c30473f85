"""Keeps the aggregates counted and their screens told: what takes time about them, and nothing that decides.

Four loops. One counts in SQL what has to be counted, one room at a time, on a session of its own, so that neither the
start of the relay nor anybody's snapshot waits for it. One tells the screens, at most four times a second. One gives a
sign of life where there was nothing to tell. And one sees to it that a poll happens when a minute of the database's
clock begins, for then windows move although nothing was written.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Final

import structlog

from relay import metrics
from relay.capture.batch import Batch
from relay.capture.waiting import wait_for
from relay.errors import CaptureDegraded, DatabaseError, Overloaded
from relay.gateway.heartbeat import sliced
from relay.routing.aggregates.audit import Difference, differences
from relay.routing.aggregates.engine import Recount
from relay.routing.aggregates.room import Room

if TYPE_CHECKING:
    from relay.gateway.services import Services

__all__ = ["Counting"]

#: Seconds between two messages to the same screen.
TELL_SECONDS: Final = 0.25
#: Counts of one room within a minute that begin at once; each further one waits twice as long as the one before.
AT_ONCE: Final = 3
FIRST_PAUSE, LAST_PAUSE = 0.25, 30.0
#: Seconds after the minute at which the clock is asked for, so that the answer is of the new one.
AFTER_THE_MINUTE: Final = 0.01
#: Seconds after which the clock is looked at again: it may be set.
LOOK_SECONDS: Final = 5.0
#: Polls that are waited for until one has seen everything a comparison was made with.
PATIENCE: Final = 40

log = structlog.get_logger(__name__)


class Counting:
    """Run beside the gateway, and told of every batch after the hub was."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._news = asyncio.Event()
        self._wanted = asyncio.Event()
        self._up = False
        self._clock: tuple[datetime, float] | None = None
        self._begun: dict[Room, deque[float]] = {}
        services.aggregates.on_owed = self._news.set

    # What the daemon calls. All of it returns at once, and nothing of it raises.

    def published(self, batch: Batch) -> None:
        """A batch has been handed to everybody: let it move the numbers."""
        aggregates = self._services.aggregates
        try:
            aggregates.publish(batch)
        except Exception:  # numbers that cannot be counted must not end the stream of events
            log.exception("aggregates_failed")
            aggregates.recount("failed")
        self._up = True
        if batch.snapshot is not None:
            self._clock = batch.as_of, time.monotonic()
        self.wake()

    def interrupted(self) -> None:
        """The sessions to the database were lost."""
        self._up = False
        self._services.aggregates.recount("reconnected")
        self.wake()

    def wake(self) -> None:
        """Somebody may have to be told something, or something may have to be counted."""
        self._news.set()
        if any(room.wanted for room in self._services.aggregates):
            self._wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        self.wake()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._count_all())
            group.create_task(self._tell_all())
            group.create_task(self._tick())
            group.create_task(self._touch_all())

    # Counting

    async def _count_all(self) -> None:
        while True:
            wanted = [(self._due(room), room) for room in self._services.aggregates if room.wanted]
            if not (wanted and self._up):
                await self._wanted.wait()
                self._wanted.clear()
                continue
            due, room = min(wanted, key=lambda pair: pair[0])
            if (pause := due - time.monotonic()) > 0:
                await wait_for(self._wanted, pause)
                self._wanted.clear()
                continue
            await self._try(room)
            self.wake()

    def _due(self, room: Room) -> float:
        """When ``room`` may be counted: one that loses count again and again must not keep the database busy."""
        for gone in self._begun.keys() - set(self._services.aggregates):
            del self._begun[gone]
        begun = self._begun.setdefault(room, deque(maxlen=AT_ONCE + 8))
        while begun and begun[0] < time.monotonic() - 60:
            begun.popleft()
        if len(begun) < AT_ONCE:
            return 0.0
        return begun[-1] + min(LAST_PAUSE, FIRST_PAUSE * 2.0 ** (len(begun) - AT_ONCE))

    async def _try(self, room: Room) -> None:
        name, began = room.aggregate.name, time.monotonic()
        self._begun[room].append(began)
        try:
            groups = await self._count(room)
        except Recount as why:
            room.recount(why.reason)
        except CaptureDegraded:
            self._begun[room].pop()
            self._up = False
            room.abandon()
        except (DatabaseError, Overloaded) as error:
            log.warning("aggregate_not_counted", channel=name, why=str(error))
            room.abandon()
        except Exception:  # as above: the trouble of one aggregate
            log.exception("aggregate_not_counted", channel=name)
            room.abandon()
        else:
            if groups is not None:
                metrics.counts_total.labels(name).inc()
                seconds = round(time.monotonic() - began, 3)
                log.info("aggregate_counted", channel=name, groups=groups, seconds=seconds)

    async def _count(self, room: Room) -> int | None:
        """Count ``room``; the number of groups that were read, None if it was for nothing. Raises Recount,
        DatabaseError, Overloaded."""
        capture = self._services.capture
        read = 0
        async with capture.census() as census:
            # From here on the room hears every change; what the snapshot shows of them is dropped.
            count = room.listen()
            async with census.begin() as (snapshot, now):
                if room.count is not count:
                    return None  # it was lost in the meantime
                count.begin(snapshot, now)
                async with aclosing(census.parts(room.aggregate.settings)) as parts:
                    async for part, rows in parts:
                        if room.count is not count:
                            return None
                        count.load(part, rows)
                        read += len(rows)
        count.finish()
        # Until a poll has seen as much as the count has, the numbers are those of no moment.
        await capture.poll_now(check=False)
        return read

    # Telling

    async def _tell_all(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            for room in self._services.aggregates:
                self._guarded(room, room.refresh)
                for some in sliced(room.owed()):
                    busy = [screen for screen in some if not room.tell(screen)]
                    if busy:  # they are told at the next turn, together with what will have changed by then
                        self._news.set()
                    await asyncio.sleep(0)
                if room.wanted:
                    self._wanted.set()
            await asyncio.sleep(TELL_SECONDS)

    async def _touch_all(self) -> None:
        never = asyncio.Event()
        while True:
            await wait_for(never, self._services.settings.server.heartbeat_seconds)
            for room in self._services.aggregates:
                self._guarded(room, room.touch)
            self._news.set()

    @staticmethod
    def _guarded(room: Room, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:  # as above
            log.exception("aggregate_failed", channel=room.aggregate.name)
            room.recount("failed")

    # The clock

    async def _tick(self) -> None:
        """Ask for a poll when a minute begins: its ``as_of`` is the database's clock, the only one that counts."""
        never = asyncio.Event()
        while True:
            if (left := self._left_of_the_minute()) > 0:
                await wait_for(never, min(left, LOOK_SECONDS))
                continue
            try:
                if self._services.aggregates.screens:
                    await self._services.capture.poll_now(check=False)
            except CaptureDegraded:
                pass  # the numbers stay as they are, and say of when
            if self._left_of_the_minute() <= 0:
                await wait_for(never, 1.0)

    def _left_of_the_minute(self) -> float:
        if self._clock is None:
            return 0.0
        as_of, heard = self._clock
        return heard + 60 - as_of.second - as_of.microsecond / 1e6 + AFTER_THE_MINUTE - time.monotonic()

    # Comparing

    async def audit(self, name: str) -> list[Difference] | None:
        """Compare an aggregate with what SQL says under one snapshot. None: it is being counted, or the clock moved on
        meanwhile; ask again. Raises DatabaseError, Overloaded, CaptureDegraded."""
        capture, room = self._services.capture, self._services.aggregates[name]
        audit = room.audit()
        try:
            async with capture.census() as census, census.begin() as (snapshot, now):
                answer = await census.answer(room.aggregate.settings)
            for _ in range(PATIENCE):
                await capture.poll_now(check=False)
                if (values := room.values_at(audit, snapshot, now)) is not None:
                    return differences(values, answer)
                if audit.void:
                    break
            return None
        finally:
            room.close(audit)
