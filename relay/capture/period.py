"""Connected periods, one after the other: sessions, listener, gate and loop, until something breaks.

What outlives a period is here too: the position it ended at, and the epoch that position belongs to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from secrets import token_hex

import psycopg

from relay.capture import queries
from relay.capture import replay as replays
from relay.capture.asks import Asks
from relay.capture.backoff import Backoff
from relay.capture.batch import Gap
from relay.capture.change import Change
from relay.capture.cursor import Cursor, Epoch
from relay.capture.failure import cause, until_failure
from relay.capture.gate import Gate
from relay.capture.judge import refusal
from relay.capture.link import Link, open_session
from relay.capture.listener import Listener
from relay.capture.loop import Loop
from relay.capture.notified import NOTIFY, Notified
from relay.capture.payloads import wake_with
from relay.capture.poller import Poller
from relay.capture.publisher import Publisher, Sink, StatusSink
from relay.capture.reader import Reader, begin
from relay.capture.session import Session, cancellations, fault
from relay.capture.state import State
from relay.capture.stats import Observer, Stats
from relay.config import Settings
from relay.errors import CaptureDegraded, DatabaseError, PoolerInPath

__all__ = ["Periods"]


class Periods:
    """Keeps the outbox being read. ``read`` is the read session of the present period, or None."""

    def __init__(
        self,
        settings: Settings,
        sources: frozenset[str],
        stats: Stats,
        observer: Observer,
        on_control: Callable[[], None],
        on_epoch: Callable[[Epoch | None], None],
    ) -> None:
        self.asks = Asks()
        self.publisher = Publisher(sources, stats)
        self.epoch: Epoch | None = None
        self.read: Session | None = None
        self._settings = settings
        self._sources = sources
        self._stats = stats
        self._observer = observer
        self._on_control = on_control
        self._on_epoch = on_epoch
        self._backoff = self._new_backoff()
        self._notified = Notified(sources)
        self._reader: Reader | None = None
        self._gate: Gate | None = None
        self._listener: Listener | None = None
        self._link: Link | None = None

    async def start(self) -> None:
        """Connect for the first time. Raises the DatabaseError that tells why this cannot work."""
        self._link = await self._connect()
        self.read = self._link.read

    async def run(self, sink: Sink, status: StatusSink) -> None:
        """One period after the other, until cancelled."""
        self.publisher.connect(sink, status)
        asked_before = cancellations()
        try:
            while True:
                try:
                    link, self._link = self._link or await self._connect(), None
                    await self._connected(link)
                except DatabaseError as error:
                    if cancellations() > asked_before:
                        # A part failed in the same moment, and a group raises that instead.
                        raise asyncio.CancelledError from None
                    self._lost(error)
                await self._backoff.pause()
                self._stats.reconnects += 1
        finally:
            self.asks.refuse(CaptureDegraded("the relay is stopping"))
            await self.close()

    async def close(self) -> None:
        """Close what :meth:`start` opened."""
        link, self._link = self._link, None
        if link is not None:
            await link.gate.close()
            await link.close()

    @property
    def position(self) -> State | None:
        """Where the stream stands."""
        return self._reader.state if self._reader is not None else None

    async def _connect(self) -> Link:
        link = await Link.open(self._settings.database)
        try:
            await self._prove_listening(link)
        except psycopg.Error as error:
            await link.gate.close()
            await link.close()
            raise fault(error, "listening") from None
        except BaseException:
            await link.gate.close()
            await link.close()
            raise
        return link

    async def _prove_listening(self, link: Link) -> None:
        listener = self._new_listener(link)
        await listener.start()
        nonce, patience = token_hex(8), self._settings.database.connect_timeout_seconds
        await link.read.fetch(queries.NOTIFY, {"payload": wake_with(nonce)})
        if not await listener.hears(nonce, patience):
            raise PoolerInPath(
                f"a notification of one session was not heard by another within {patience:g} s: a transaction pooler"
                " is in the path; point database.dsn at Postgres itself"
            )

    async def _connected(self, link: Link) -> None:
        """One period. Ends with a DatabaseError that says why."""
        epoch, polls = link.identity.epoch, self._stats.polls
        gate = self._gate = Gate(
            link.gate,
            lambda: self._reopen_gate(epoch),
            self._new_backoff(),
            self._stats,
            self._observer,
            self.asks.bell.set,
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(link.close)
            stack.push_async_callback(gate.close)
            try:
                # Already listening: what is committed from here on is heard, what came before is read.
                reader = await self._take_position(link)
                self._reader, self.epoch, self.read = reader, epoch, link.read
                listener = self._listener = self._new_listener(link)
                poller = Poller(
                    link.read,
                    reader,
                    epoch,
                    self.publisher,
                    self.asks,
                    self._notified,
                    self._settings.capture.chunk_rows,
                    self._stats,
                    self._observer,
                )
                loop = Loop(
                    link.read,
                    poller,
                    gate,
                    listener,
                    self.asks,
                    self._settings.capture,
                    self._stats,
                    self._observer,
                )
                self._on_epoch(epoch)
                self.asks.open()
                self._on_control()
                async with asyncio.TaskGroup() as tasks:
                    for part in (listener.run, gate.run, loop.run):
                        tasks.create_task(until_failure(part, link, gate))
                    # None of them ends but by a failure. Waiting for it here, for a group that is already at its end
                    # leaves its own cancellation counted in this task (Python 3.11), and it would look like ours.
                    await asyncio.Event().wait()
            except psycopg.Error as error:
                raise fault(error, "reading the outbox") from None
            except BaseExceptionGroup as group:
                raise cause(group) from None
            finally:
                if self._stats.polls > polls:
                    self._backoff.reset()

    async def _take_position(self, link: Link) -> Reader:
        """Go on from where the last period ended if that can be honoured; else begin at the present, with a gap."""
        if self._reader is None or self.epoch is None:
            state = await begin(link.read)
        else:
            state = self._reader.state.after_reconnect()
            cursor = Cursor(self.epoch, state.clamped, state.witness)
            facts, _ = await replays.facts(link.read, cursor, link.identity.epoch)
            reason = refusal(cursor, facts)
            if reason is None and not all(lane.base.covers(facts.horizon) for lane in state.lanes):
                reason = "pruned"
            if reason is not None:
                state = await begin(link.read)
                self.publisher.owe(Gap(None, reason))
            elif self._notified_sources:
                # Their events went by while nobody listened.
                self.publisher.owe(Gap(self._notified_sources, "reconnected"))
        chunk = self._settings.capture.chunk_rows
        return Reader(self._sources, chunk, state, link.identity.epoch.install_id)

    @property
    def _notified_sources(self) -> frozenset[str]:
        known = self.publisher.capturing or {}
        return frozenset(source for source in self._sources & known.keys() if known[source].mode == NOTIFY)

    def _new_listener(self, link: Link) -> Listener:
        return Listener(link.listen, self._stats, self.asks.bell.set, self._on_event, self._on_control)

    def _on_event(self, change: Change) -> bool:
        return self._notified.hear(change, self.publisher.capturing or {})

    def _new_backoff(self) -> Backoff:
        capture = self._settings.capture
        return Backoff(capture.backoff_initial_ms / 1000, capture.backoff_max_seconds)

    async def _reopen_gate(self, epoch: Epoch) -> Session:
        session, identity = await open_session(self._settings.database, "gate")
        if identity.epoch != epoch:
            await session.close()
            raise CaptureDegraded("the gate session reached another server; reconnecting")
        return session

    def _lost(self, error: DatabaseError) -> None:
        self.read = None
        self._stats.state = "down"
        self._on_epoch(None)
        self.asks.refuse(CaptureDegraded(str(error)))
        self.publisher.announce_down(self._stats.as_of or datetime.now(UTC), str(error))
