"""The loop of one connected period: when to poll, when to sleep, what wakes it.

    awake    polls every few milliseconds; K is free, so writers do not notify
    drowsy   nothing came for a while: K is requested, so every new writer notifies. Polls go on, ever more slowly, for
             those who wrote before the request. When it is granted they have all ended; one more poll sees them
    asleep   holds K, or waits for it behind another relay that holds it; sleeps until a notification, a loss of the
             gate session, somebody who asks for a poll, or the safety poll

A relay that waits behind another may sleep too: the other's granted lock proves what its own would, as long as its own
request stands by the time the other lets go. Its request ends after 900 ms, and then it is drowsy again for two polls.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from secrets import token_hex
from typing import Final

import structlog

from relay.capture import queries
from relay.capture.asks import Asks
from relay.capture.batch import Gap
from relay.capture.gate import Gate
from relay.capture.link import Link
from relay.capture.listener import Listener
from relay.capture.payloads import wake_with
from relay.capture.publisher import Publisher
from relay.capture.reader import Reader
from relay.capture.stats import Observer, Stats
from relay.capture.waiting import wait_for
from relay.config import CaptureSettings
from relay.errors import CaptureDegraded

__all__ = ["Loop"]

log = structlog.get_logger(__name__)

#: Seconds.
DROWSY_LONGEST: Final = 0.25
IDLE_WITHOUT_ALARM: Final = 0.05
ECHO_WITHIN: Final = 5.0
ANNOUNCED_WITHIN: Final = 2.0
#: Share of the notification queue above which a relay stays awake, so that writers do not fill it.
QUEUE_LIMIT: Final = 0.25
# Looking at pg_locks is not free, and a request that nobody is in the way of has been granted by then.
_QUEUE_CHECK_AFTER: Final = 0.02


@dataclass(frozen=True, slots=True)
class _Suspect:
    """Rows that a sleeping relay found by itself; their notification is expected after ``wakes`` and by ``until``."""

    rows: int
    wakes: int
    until: float


class Loop:
    """Polls, publishes, and decides between awake, drowsy and asleep. Ends only by an exception."""

    def __init__(
        self,
        link: Link,
        reader: Reader,
        gate: Gate,
        listener: Listener,
        publisher: Publisher,
        asks: Asks,
        settings: CaptureSettings,
        stats: Stats,
        observer: Observer,
        gap: Gap | None,
    ) -> None:
        self._link = link
        self._reader = reader
        self._gate = gate
        self._listener = listener
        self._publisher = publisher
        self._asks = asks
        self._stats = stats
        self._observer = observer
        self._gap = gap
        self._interval = settings.poll_interval_ms / 1000
        self._idle_after = settings.idle_after_ms / 1000
        self._safety = settings.safety_poll_seconds
        self._pace = self._interval
        self._state = "down"
        self._queue_usage = 0.0
        self._suspects: list[_Suspect] = []
        self._echo: tuple[str, float] | None = None

    async def run(self) -> None:
        """Catch up, then go on until the connection is lost."""
        await self._enter("awake")
        full = True  # the first poll after a connect is checked and published like a heartbeat
        stirred_at = time.monotonic()
        wakes, turns = self._listener.wakes, self._gate.turns
        while True:
            self._asks.bell.clear()
            # Noted before the poll: only a poll that begins after the grant proves anything.
            granted, turn = self._gate.held, self._gate.turns
            behind = self._state == "drowsy" and not granted and await self._waits_behind_another()
            rows = await self._poll(full)
            full = False
            now = time.monotonic()
            self._judge_suspects(now)
            if rows and self._state == "asleep" and self._listener.wakes == wakes:
                self._suspects.append(_Suspect(rows, wakes, now + ANNOUNCED_WITHIN))
            heard, wakes = self._listener.wakes != wakes, self._listener.wakes
            if rows or heard or self._reader.busy:
                stirred_at = now
                await self._enter("awake")
            elif self._state == "awake":
                if now - stirred_at >= self._idle_after:
                    await (self._enter("drowsy") if self._may_sleep else self._idle())
            elif not self._may_sleep:
                await self._enter("awake")
            elif self._state == "drowsy":
                self._pace = min(self._pace * 2, DROWSY_LONGEST)
                if (granted and self._gate.held) or (behind and self._gate.turns == turn):
                    turns = turn
                    await self._enter("asleep")
            if self._state == "asleep":
                await self._sleep(wakes, turns)
            elif not self._reader.busy:
                await wait_for(self._asks.bell, self._pace)

    @property
    def _may_sleep(self) -> bool:
        return self._reader.alarm and self._queue_usage <= QUEUE_LIMIT

    async def _enter(self, state: str) -> None:
        if state == "awake":
            self._pace = self._interval
        if state == self._state:
            return
        if state == "awake":
            # Given back on another session while this one polls.
            self._gate.leave()
        elif state == "drowsy":
            self._pace = self._interval
            self._gate.ask()
        else:
            self._stats.sleeps += 1
        self._state = self._stats.state = state
        log.debug("capture_state", state=state)
        await self._observer.state_changed(state)

    async def _idle(self) -> None:
        self._pace = max(self._interval, IDLE_WITHOUT_ALARM)

    async def _poll(self, full: bool) -> int:
        """One poll of the main stream and one piece of a large commit; returns the rows that were read."""
        read, reader, epoch = self._link.read, self._reader, self._link.identity.epoch
        self._asks.begin()
        asked = self._asks.any
        await self._observer.polling()
        began = time.monotonic()
        found = await reader.poll(read)
        self._stats.polls += 1
        self._stats.poll_seconds = time.monotonic() - began
        await self._observer.polled(found.rows)
        if full or asked:
            self._stats.queue_usage = self._queue_usage = float(await read.value(queries.QUEUE_USAGE))
        rows = found.rows
        if found.state.overflow is not None:
            # Who asked goes on waiting: nothing can be said before it is known which sources lag.
            reader.accept(found)
            await reader.scout(read)
            self._stats.large_commits += 1
            found = await reader.poll(read)
            if found.state.overflow is not None:
                reader.accept(found)
                return rows + 1
        gap, self._gap = self._gap, None
        try:
            await self._publisher.publish(reader, found, epoch, full=full or asked, session=read, gap=gap)
        except BaseException:
            self._gap = gap
            raise
        self._asks.done()
        if reader.state.lanes:
            piece = await reader.step(read)
            rows += piece.rows
            await self._publisher.publish(reader, piece, epoch, full=False, session=read, gap=None)
        return rows

    async def _waits_behind_another(self) -> bool:
        if self._pace < _QUEUE_CHECK_AFTER or not self._gate.requesting:
            return False
        return bool(await self._link.read.value(queries.QUEUED_AT_GATE, {"pid": self._gate.pid}))

    async def _sleep(self, wakes: int, turns: int) -> None:
        """Until there is a reason to poll."""
        safety = time.monotonic() + self._safety
        while True:
            now = time.monotonic()
            self._judge_suspects(now)
            if self._listener.wakes != wakes:
                return await self._enter("awake")
            if self._gate.turns != turns and not self._gate.held:
                # A request that waited behind another has come back, or the gate is lost.
                return await self._enter("drowsy" if self._gate.alive else "awake")
            turns = self._gate.turns
            if self._asks.any:
                return
            self._check_echo(now)
            if now >= safety:
                return await self._look_around()
            until = min([safety, *(suspect.until for suspect in self._suspects)])
            self._asks.bell.clear()
            await wait_for(self._asks.bell, max(0.0, until - now))

    async def _look_around(self) -> None:
        """What a sleeper does now and then, besides the poll that follows: is the alarm still set, is it audible?"""
        read = self._link.read
        if await read.value(queries.WRITERS_SKIP_NOTIFY):
            log.warning("gate_was_open", held=self._gate.held)
            self._stats.gate_losses += 1
            await self._enter("awake")
        if self._echo is None:
            nonce = token_hex(8)
            self._echo = (nonce, time.monotonic() + ECHO_WITHIN)
            await read.fetch(queries.NOTIFY, {"payload": wake_with(nonce)})

    def _check_echo(self, now: float) -> None:
        if self._echo is None:
            return
        nonce, until = self._echo
        if self._listener.has_heard(nonce):
            self._echo = None
        elif now >= until:
            raise CaptureDegraded("the relay does not hear its own notifications any more; reconnecting")

    def _judge_suspects(self, now: float) -> None:
        left = []
        for suspect in self._suspects:
            if self._listener.wakes != suspect.wakes:
                continue
            if now < suspect.until:
                left.append(suspect)
                continue
            self._stats.unannounced_events += suspect.rows
            log.error("events_unannounced", rows=suspect.rows)
        self._suspects = left
