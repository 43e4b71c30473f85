"""The loop of one connected period: when to poll, when to sleep, what wakes it.

    awake    polls every few milliseconds; K is free, so writers do not notify
    drowsy   nothing came for a while: K is requested, so every new writer notifies. Polls go on, ever more slowly, for
             those who wrote before the request. When it is granted they have all ended; one more poll sees them
    asleep   holds K, or waits for it behind another relay that holds it; sleeps until a notification, a turn of the
             gate, somebody who asks for a poll, or the safety poll

A relay that waits behind another may sleep too: the lock granted to the other proves what its own would, and its own
request keeps writers notifying when the other lets go. That request ends after 900 ms; then it is drowsy again, until a
poll that began after its next request stood.
"""

from __future__ import annotations

import time
from typing import Final

import structlog

from relay.capture import queries
from relay.capture.asks import Asks
from relay.capture.gate import Gate
from relay.capture.listener import Listener
from relay.capture.poller import Poller
from relay.capture.session import Session
from relay.capture.stats import Observer, Stats
from relay.capture.vigil import Vigil
from relay.capture.waiting import wait_for
from relay.config import CaptureSettings

__all__ = ["Loop", "pause"]

log = structlog.get_logger(__name__)

#: Seconds.
DROWSY_LONGEST: Final = 0.25
IDLE_WITHOUT_ALARM: Final = 0.05
# So many rows in one poll, and polls become rarer and larger: each costs the database its snapshot and the relay its
# round trip, which on a busy server writers would feel. Nobody sees the difference in a stream of thousands a second.
_MANY: Final = 16
_RARER: Final = 3
# Looking at pg_locks is not free, and a request that nobody is in the way of has been granted by then.
_QUEUE_CHECK_AFTER: Final = 0.02


def pause(interval: float, rows: int) -> float:
    """Seconds between a poll that found ``rows`` and the next one, while awake."""
    return interval * _RARER if rows >= _MANY else interval


class Loop:
    """Decides between awake, drowsy and asleep. ``read`` is the session of the poller, used between its turns."""

    def __init__(
        self,
        read: Session,
        poller: Poller,
        gate: Gate,
        listener: Listener,
        asks: Asks,
        settings: CaptureSettings,
        stats: Stats,
        observer: Observer,
    ) -> None:
        self._read = read
        self._poller = poller
        self._gate = gate
        self._listener = listener
        self._asks = asks
        self._stats = stats
        self._observer = observer
        self._vigil = Vigil(read, listener, stats, settings.safety_poll_seconds)
        self._interval = settings.poll_interval_ms / 1000
        self._idle_after = settings.idle_after_ms / 1000
        self._pace = self._interval
        self._state = "down"

    async def run(self) -> None:
        """Catch up, then go on until an exception tells that the connection is lost."""
        stirred_at = time.monotonic()
        wakes = self._listener.wakes
        await self._enter("awake")
        while True:
            self._asks.bell.clear()
            # Noted before the poll: only a poll that begins after the grant proves anything.
            granted, turns = self._gate.held, self._gate.turns
            behind = self._state == "drowsy" and not granted and await self._waits_behind_another()
            rows = await self._poller.turn()
            self._vigil.judge()
            if rows and self._state == "asleep" and self._listener.wakes == wakes:
                self._vigil.found(rows, wakes)
            heard, wakes = self._listener.wakes != wakes, self._listener.wakes
            if rows or heard or self._poller.busy:
                stirred_at = time.monotonic()
                await self._enter("awake")
                self._pace = pause(self._interval, rows)
            elif self._state == "awake":
                self._pace = self._interval
                if time.monotonic() - stirred_at >= self._idle_after:
                    if self._may_sleep:
                        await self._enter("drowsy")
                    else:
                        self._pace = max(self._interval, IDLE_WITHOUT_ALARM)
            elif not self._may_sleep:
                await self._enter("awake")
            elif self._state == "drowsy":
                self._pace = min(self._pace * 2, DROWSY_LONGEST)
                if (granted or behind) and self._gate.turns == turns:
                    await self._enter("asleep")
            if self._state == "asleep":
                await self._sleep(wakes, turns)
            elif not self._poller.busy:
                await wait_for(self._asks.bell, self._pace)

    @property
    def _may_sleep(self) -> bool:
        # Without a gate session writers do not notify, so slow polls would be all there is.
        return self._gate.alive and self._poller.alarm_works

    async def _enter(self, state: str) -> None:
        if state != "asleep":
            self._pace = self._interval
        if state == self._state:
            return
        if state == "awake":
            # Given back on its own session, while this one polls.
            self._gate.leave()
        elif state == "drowsy":
            self._gate.ask()
        else:
            self._vigil.begin()
            self._stats.sleeps += 1
        self._state = self._stats.state = state
        log.debug("capture_state", state=state)
        await self._observer.state_changed(state)

    async def _waits_behind_another(self) -> bool:
        if self._pace < _QUEUE_CHECK_AFTER or not self._gate.requesting:
            return False
        return bool(await self._read.value(queries.QUEUED_AT_GATE, {"pid": self._gate.pid}))

    async def _sleep(self, wakes: int, turns: int) -> None:
        """Until there is a reason to poll."""
        while True:
            self._asks.bell.clear()
            self._vigil.judge()
            if self._listener.wakes != wakes:
                # Awake only after the poll: K can wait until the news is out, and to give it back at once would have
                # two sessions work at the same moment.
                return None
            if self._gate.turns != turns:
                # The request that waited behind another has come back, or the gate is lost.
                return await self._enter("drowsy" if self._gate.alive else "awake")
            if self._poller.wanted:
                return None
            if self._vigil.round_due:
                if not await self._vigil.make_round():
                    log.warning("gate_was_open", held=self._gate.held)
                    self._stats.gate_losses += 1
                    await self._enter("awake")
                return None
            await wait_for(self._asks.bell, max(0.0, self._vigil.due - time.monotonic()))
