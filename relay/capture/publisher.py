"""Turns what was read into batches and hands them on, with everything a batch must say about broken history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import datetime

import structlog

from relay.capture.batch import Batch, CaptureStatus, Gap
from relay.capture.change import Change
from relay.capture.cursor import Epoch, marks_of
from relay.capture.reader import Found, Reader
from relay.capture.schema import Capturing, fingerprints
from relay.capture.session import Session
from relay.capture.stats import Stats
from relay.capture.throttle import Throttle

__all__ = ["Publisher", "Sink", "StatusSink", "Turn", "in_sink"]

log = structlog.get_logger(__name__)

Sink = Callable[[Batch], Awaitable[None]]
StatusSink = Callable[[CaptureStatus], None]


class Turn:
    """One run of the sink. While it is ``active`` nothing is polled, and whoever has the ``lock`` may use the read
    session. A task that the sink leaves behind still knows its turn, and finds that it is over.
    """

    def __init__(self) -> None:
        self.active = True
        self.lock = asyncio.Lock()

    async def end(self) -> None:
        """The sink is done; wait until nobody uses the session any more."""
        self.active = False
        async with self.lock:
            return


#: The turn of the sink that this code runs in, if any.
in_sink: ContextVar[Turn | None] = ContextVar("in_sink", default=None)


class Publisher:
    """Outlives connections: it remembers how each table was captured, what status was announced last, and which gap is
    still owed to subscribers.
    """

    def __init__(self, sources: frozenset[str], stats: Stats) -> None:
        self.capturing: Mapping[str, Capturing] | None = None
        self._sources = sources
        self._stats = stats
        self._sink: Sink | None = None
        self._status: StatusSink | None = None
        self._told: tuple[bool, str] | None = None
        self._lagging: frozenset[str] = frozenset()
        self._owed: Gap | None = None
        self._complaint = Throttle()

    def connect(self, sink: Sink, status: StatusSink) -> None:
        """Publish to these from now on."""
        self._sink, self._status = sink, status

    def owe(self, gap: Gap) -> None:
        """History is broken; the next batch says so."""
        self._owed = joined(self._owed, gap)

    async def publish(
        self,
        reader: Reader,
        found: Found,
        epoch: Epoch,
        session: Session,
        *,
        check: bool = False,
        asked: bool = False,
    ) -> None:
        """Hand on what was found, and take over the position. ``check``: see how tables are captured. That, or
        ``asked``, hands on even if there is nothing.

        The check comes after the poll and before its cursor is given out, so that no cursor covers a change that
        slipped by an altered trigger. Whatever is noted here is noted only once the batch has been handed on.
        """
        capturing = await fingerprints(session) if check else self.capturing
        if capturing != self.capturing:
            # Newer than the poll. Were the altered trigger gone after a crash, clients would have to be told again.
            await session.settle()
        gap = joined(self._owed, self._changed(capturing))
        if found.bad:
            gap = joined(gap, Gap(found.bad_sources, "unreadable_row"))
        if found.changes or gap or check or asked or found.state.lagging != self._lagging:
            await self._hand_on(_batch(found, epoch, capturing, gap))
        reader.accept(found)
        self._owed, self.capturing, self._lagging = None, capturing, found.state.lagging
        self._count(found, gap)
        if check:
            self.announce_up(found.as_of)

    async def publish_notified(self, reader: Reader, changes: tuple[Change, ...], gap: Gap | None) -> None:
        """Hand on changes that no position covers."""
        if changes or gap:
            await self._hand_on(
                Batch(changes, None, reader.as_of, "", None, reader.state.lagging, joined(self._owed, gap))
            )
            self._owed = None
        self._stats.changes += len(changes)

    def _changed(self, now: Mapping[str, Capturing] | None) -> Gap | None:
        before = self.capturing
        if before is None or now is None or before is now:
            return None
        changed = frozenset(
            source
            for source in self._sources & (before.keys() | now.keys())
            if source not in before
            or source not in now
            or before[source].fingerprint != now[source].fingerprint
        )
        return Gap(changed, "capture_changed") if changed else None

    def _count(self, found: Found, gap: Gap | None) -> None:
        self._stats.rows += found.rows
        self._stats.changes += len(found.changes)
        self._stats.bad_rows += len(found.bad)
        self._stats.lagging_sources = len(found.state.lagging)
        self._stats.as_of = found.as_of
        if gap is not None:
            self._stats.gaps += 1
            sources = "all" if gap.sources is None else sorted(gap.sources)
            log.warning("history_broken", reason=gap.reason, sources=sources)
        for error in found.bad:
            if (count := self._complaint.due()) is not None:
                log.error("outbox_row_unreadable", event_id=error.event_id, why=str(error), count=count)

    def announce_up(self, since: datetime) -> None:
        """The outbox is being read; that is all well if every table is captured whole."""
        known = self.capturing or {}
        for source in sorted(self._sources):
            if source not in known:
                return self._announce(False, since, f"table {source} is not watched")
            if not known[source].whole:
                return self._announce(
                    False, since, f"table {source} is not captured whole: {known[source].reason}"
                )
        self._announce(True, since, "")

    def announce_down(self, since: datetime, reason: str) -> None:
        """The outbox cannot be read."""
        self._announce(False, since, reason, down=True)

    def _announce(self, ok: bool, since: datetime, reason: str, *, down: bool = False) -> None:
        if self._told == (ok, reason):
            return
        self._told = (ok, reason)
        log.log(20 if ok else 40, "capture_ok" if ok else "capture_degraded", reason=reason)
        if self._status is not None:
            self._status(CaptureStatus(ok, since, reason, down))

    async def _hand_on(self, batch: Batch) -> None:
        assert self._sink is not None
        turn = Turn()
        token = in_sink.set(turn)
        try:
            await self._sink(batch)
        finally:
            in_sink.reset(token)
            await turn.end()


def _batch(found: Found, epoch: Epoch, capturing: Mapping[str, Capturing] | None, gap: Gap | None) -> Batch:
    state, lagging = found.state, found.state.lagging
    if found.part:
        return Batch(found.changes, None, found.as_of, "", None, lagging, gap)
    marks = marks_of({source: how.fingerprint for source, how in (capturing or {}).items()})
    cursor = state.cursor(epoch, marks)
    return Batch(
        found.changes,
        state.prev,
        found.as_of,
        cursor.encode(),
        state.witness,
        lagging,
        gap,
        clamped=cursor.snapshot,
    )


def joined(one: Gap | None, other: Gap | None) -> Gap | None:
    """Both gaps in one; it keeps the first reason."""
    if one is None or other is None:
        return one or other
    if one.sources is None or other.sources is None:
        return Gap(None, one.reason)
    return Gap(one.sources | other.sources, one.reason)
