"""What a sleeping relay watches besides its alarm clock: whether the alarm is set, audible, and rung when it should."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Final

import structlog

from relay.capture import queries
from relay.capture.listener import Listener
from relay.capture.payloads import wake_with
from relay.capture.session import Session
from relay.capture.stats import Stats
from relay.errors import CaptureDegraded

__all__ = ["Vigil"]

log = structlog.get_logger(__name__)

#: Seconds.
ECHO_WITHIN: Final = 5.0
ANNOUNCED_WITHIN: Final = 2.0
_SECOND_LOOK: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Suspect:
    """Rows that a sleeping relay found by itself; their notification is expected after ``wakes`` and by ``until``."""

    rows: int
    wakes: int
    until: float
    warned: bool = False


@dataclass(frozen=True, slots=True)
class _Echo:
    """What the relay has said to itself, to be heard by ``until``."""

    nonce: str
    until: float
    warned: bool = False


class Vigil:
    """Keeps the times of one loop, by ``clock``. Nothing is overdue at first sight: a process that was stopped for a
    while finds the time over before it has read what came in the meantime, so there is a second look.
    """

    def __init__(
        self,
        read: Session,
        listener: Listener,
        stats: Stats,
        every: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._listener = listener
        self._stats = stats
        self._every = every
        self._clock = clock
        self._round = clock() + every
        self._suspects: list[_Suspect] = []
        self._echo: _Echo | None = None

    def begin(self) -> None:
        """The relay falls asleep."""
        self._round = self._clock() + self._every

    @property
    def due(self) -> float:
        """When something has to be looked at next."""
        echo = [self._echo.until] if self._echo else []
        return min([self._round, *echo, *(suspect.until for suspect in self._suspects)])

    @property
    def round_due(self) -> bool:
        """Whether it is time for a round."""
        return self._clock() >= self._round

    async def make_round(self) -> bool:
        """Ask what a writer would ask, and say something to oneself. False: the alarm is not set."""
        self._round = self._clock() + self._every
        if self._echo is None:
            nonce = token_hex(8)
            self._echo = _Echo(nonce, self._clock() + ECHO_WITHIN)
            await self._read.fetch(queries.NOTIFY, {"payload": wake_with(nonce)})
        return not await self._read.value(queries.WRITERS_SKIP_NOTIFY)

    def found(self, rows: int, wakes: int) -> None:
        """A sleeping relay found ``rows`` by itself, when it had heard ``wakes``. A notification has to follow."""
        self._suspects.append(_Suspect(rows, wakes, self._clock() + ANNOUNCED_WITHIN))

    def judge(self) -> None:
        """Count what was not announced in time. CaptureDegraded: the relay does not hear itself any more."""
        now = self._clock()
        left = []
        for suspect in self._suspects:
            if self._listener.wakes != suspect.wakes:
                continue
            if now < suspect.until:
                left.append(suspect)
                continue
            if not suspect.warned:
                left.append(replace(suspect, until=now + _SECOND_LOOK, warned=True))
                continue
            self._stats.unannounced_events += suspect.rows
            log.error("events_unannounced", rows=suspect.rows)
        self._suspects = left
        if self._echo is not None:
            if self._listener.has_heard(self._echo.nonce):
                self._echo = None
            elif now >= self._echo.until:
                if self._echo.warned:
                    raise CaptureDegraded(
                        "the relay does not hear its own notifications any more; reconnecting"
                    )
                self._echo = replace(self._echo, until=now + _SECOND_LOOK, warned=True)
