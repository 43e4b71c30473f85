"""One turn of reading: a poll of the main stream, published, and one piece of a large commit."""

from __future__ import annotations

import time
from typing import Final

from relay.capture import queries
from relay.capture.asks import Asks
from relay.capture.cursor import Epoch
from relay.capture.notified import Notified
from relay.capture.publisher import Publisher
from relay.capture.reader import Reader
from relay.capture.session import Session
from relay.capture.stats import Observer, Stats

__all__ = ["Poller"]

#: Share of the notification queue above which a relay stays awake, so that writers do not fill it.
QUEUE_LIMIT: Final = 0.25


class Poller:
    """Reads on ``read`` and publishes. Nothing else uses that session while a turn is under way."""

    def __init__(
        self,
        read: Session,
        reader: Reader,
        epoch: Epoch,
        publisher: Publisher,
        asks: Asks,
        notified: Notified,
        chunk: int,
        stats: Stats,
        observer: Observer,
    ) -> None:
        self._read = read
        self._reader = reader
        self._epoch = epoch
        self._publisher = publisher
        self._asks = asks
        self._notified = notified
        self._chunk = chunk
        self._stats = stats
        self._observer = observer
        # The first poll of a connected period is checked and published whatever it finds.
        self._check = True

    @property
    def busy(self) -> bool:
        """Whether there is more to read at once."""
        return self._reader.busy

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a turn, though nothing may be new."""
        return self._asks.any or self._notified.any

    @property
    def alarm_works(self) -> bool:
        """Whether a sleeping relay would be woken: writers notify, and the queue has room for it."""
        return self._reader.alarm and self._stats.queue_usage <= QUEUE_LIMIT

    async def turn(self) -> int:
        """Poll, publish, and read one piece of a large commit; the number of rows that were found."""
        rows = await self._poll()
        if self._reader.state.lanes:
            piece = await self._reader.step(self._read)
            await self._publisher.publish(self._reader, piece, self._epoch, self._read)
            rows += piece.rows
        if self._notified.any:
            await self._publish_notified()
        return rows

    async def _publish_notified(self) -> None:
        capturing = self._publisher.capturing or {}
        changes, gap = await self._notified.take(self._read, capturing, self._chunk)
        await self._read.settle()
        await self._publisher.publish_notified(self._reader, changes, gap)
        self._notified.drop()

    async def _poll(self) -> int:
        self._asks.begin()
        check = self._check or self._asks.check
        await self._observer.polling()
        began = time.monotonic()
        found = await self._reader.poll(self._read)
        self._stats.poll_seconds = time.monotonic() - began
        self._stats.polls += 1
        if found.unsettled is not None:
            await self._read.settle(found.unsettled)
        await self._observer.polled(found.rows)
        if found.state.overflow is not None:
            # Nothing is published, and who asked goes on waiting, until it is known which sources lag.
            self._reader.accept(found)
            await self._reader.scout(self._read)
            self._stats.large_commits += 1
            return 0
        if check:
            self._stats.queue_usage = float(await self._read.value(queries.QUEUE_USAGE))
        await self._publisher.publish(
            self._reader, found, self._epoch, self._read, check=check, asked=self._asks.serving
        )
        self._check = False
        self._asks.done()
        return found.rows
