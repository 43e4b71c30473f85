"""The front door of capture: one object that the rest of the house knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relay.capture import lookups, queries, schema, tables
from relay.capture import replay as replays
from relay.capture.batch import Batch, CaptureStatus, Gap
from relay.capture.census.census import Census
from relay.capture.cursor import Cursor, Epoch
from relay.capture.errand import Errand
from relay.capture.link import open_session
from relay.capture.notified import NOTIFY
from relay.capture.period import Periods
from relay.capture.publisher import Sink, StatusSink, in_sink
from relay.capture.replay import Resumed
from relay.capture.rows import Rows, RowsQuery, SqlCondition
from relay.capture.session import Session
from relay.capture.snapshot import Snapshot
from relay.capture.stats import Observer, Stats
from relay.config import ChannelSettings, Settings
from relay.errors import CaptureDegraded

__all__ = [
    "Batch",
    "Capture",
    "CaptureStatus",
    "Gap",
    "Resumed",
    "Revocation",
    "Rows",
    "RowsQuery",
    "SqlCondition",
]


#: Seconds that a count which is being cancelled may take to end.
_PATIENCE = 0.4


@dataclass(frozen=True, slots=True)
class Revocation:
    """Tokens of ``subject`` issued at or before ``at`` are refused."""

    subject: str
    reason: str
    at: datetime


class Capture:
    """Reads the outbox for ``sources`` (schema.table) and answers questions about the database.

    ``on_control`` is called when revocations may have changed, and after each connect.
    """

    def __init__(
        self, settings: Settings, sources: frozenset[str], *, observer: Observer | None = None
    ) -> None:
        self.stats = Stats()
        self.on_control: Callable[[], None] = lambda: None
        self._settings = settings
        self._sources = sources
        self._running = False
        self._errand = Errand(
            # Its statements have a timeout of their own, and it is the server that shall end them.
            lambda: open_session(
                settings.database, "errand", spare=settings.database.snapshot_timeout_seconds
            ),
            settings.limits.replays_waiting,
            settings.database.snapshot_timeout_seconds,
        )
        # Counting a large table takes seconds, which nobody's snapshot shall wait for.
        self._census = Errand(
            lambda: open_session(settings.database, "census"),
            settings.limits.replays_waiting,
            settings.database.count_timeout_seconds,
        )
        self._periods = Periods(
            settings,
            sources,
            self.stats,
            observer or Observer(),
            lambda: self.on_control(),
            self._expect,
        )

    def _expect(self, epoch: Epoch | None) -> None:
        self._errand.expect(epoch)
        self._census.expect(epoch)

    @property
    def epoch(self) -> Epoch | None:
        """The epoch of the present position; None before the first connect."""
        return self._periods.epoch

    @property
    def trouble(self) -> str:
        """Why no new session can be had for what clients ask, while the lasting ones go on; empty if it can."""
        return self._errand.trouble

    async def start(self) -> None:
        """Connect for the first time. Raises the DatabaseError that tells why this cannot work."""
        await self._periods.start()

    async def run(self, sink: Sink, status: StatusSink) -> None:
        """Hand batches to ``sink`` until cancelled, reconnecting as long as it takes.

        ``sink`` gets a batch for each poll that found something, for each that was asked for, and for gaps. While it
        runs nothing is polled. A DatabaseError from it (a look-up that failed) counts as a lost connection, and the
        batch is repeated; any other exception of its own ends this.
        """
        self._running = True
        try:
            await self._periods.run(sink, status)
        finally:
            await self._errand.close()
            await self._census.close(patience=_PATIENCE)

    async def close(self) -> None:
        """Close what :meth:`start` opened; needed only if :meth:`run` is never called."""
        await self._periods.close()
        await self._errand.close()
        await self._census.close()

    async def poll_now(self, *, check: bool = True) -> None:
        """Return once a poll begun after this call has been handed to the sink. Raises CaptureDegraded.

        ``check`` also compares how every table is captured, which takes some milliseconds: for heartbeats, not for
        every client. Not from inside the sink: the poll it would wait for comes after.
        """
        await self._periods.asks.ask(check=check)

    async def resume(self, cursor: Cursor) -> Resumed:
        """What ``cursor`` has missed. Raises ResumeRefused, CaptureDegraded, Overloaded."""
        epoch = self._periods.epoch
        if epoch is None:
            raise CaptureDegraded("capture has not been started")
        async with self._errand.snapshot("a replay") as session:
            limit = self._settings.capture.replay_limit
            resumed = await replays.replay(session, cursor, epoch, self._sources, limit)
        return Resumed(resumed.changes, resumed.snapshot, resumed.as_of, self.broken(cursor))

    def broken(self, cursor: Cursor) -> frozenset[str]:
        """The sources that ``cursor`` cannot speak for: captured otherwise when it was issued (a trigger was off, a
        table rewritten), so that every relay may have missed something, or in mode notify. Their channels need
        ``resync``.
        """
        known = self._periods.publisher.capturing or {}
        ours = {source: how for source, how in known.items() if source in self._sources}
        notified = frozenset(source for source, how in ours.items() if how.mode == NOTIFY)
        return notified | cursor.broken({source: how.fingerprint for source, how in ours.items()})

    async def rows(self, query: RowsQuery) -> Rows:
        """Rows of a table. Raises MappingError, FilterRefused, CaptureDegraded, Overloaded."""
        async with self._errand.snapshot("a snapshot") as session:
            state = self._periods.position
            if state is None:
                raise CaptureDegraded("capture has not been started")
            ((present, now, newest),) = await session.fetch(queries.PRESENT)
            found, exhausted = await tables.rows(session, query)
        # It sees every event that the rows include, and no id that a crash could give out again.
        bound = max(state.bound, (newest or 0) + 1)
        return Rows(found, Snapshot.parse(present).clamp(bound), now, exhausted)

    async def look_up(self, sql: str, keys: Sequence[Any]) -> dict[Any, dict[str, Any]]:
        """Run a look-up with ``%(keys)s``: by its first column, the other columns.

        Raises DatabaseError, CaptureDegraded, Overloaded.
        """
        async with self._look_up_session() as session:
            return await lookups.look_up(session, sql, keys)

    async def look_up_reverse(self, sql: str, values: Iterable[Any]) -> list[Any]:
        """Run a look-up the other way round, with ``%(values)s``: the first column of each row. Raises as above."""
        async with self._look_up_session() as session:
            return await lookups.look_up_reverse(session, sql, values)

    @asynccontextmanager
    async def census(self, *, now: datetime | None = None) -> AsyncIterator[Census]:
        """A session to count on, one census at a time. Nothing has been read when it is there.

        Raises CaptureDegraded, Overloaded; DatabaseError if a statement fails.
        """
        async with self._census.session("counting") as session:
            yield Census(session, self._settings.database.count_timeout_seconds, now)

    async def revocations(self) -> list[Revocation]:
        """Everybody whose tokens were revoked. Raises CaptureDegraded, Overloaded."""
        async with self._errand.session("reading revocations") as session:
            found = [Revocation(*row) for row in await session.fetch(queries.REVOCATIONS)]
            if found:
                await session.settle()
            return found

    async def check(self, channels_need: Mapping[str, frozenset[str]], counted: Collection[str] = ()) -> None:
        """Compare the columns that the configuration needs, by source, with what is there and watched.

        ``counted`` are the sources that aggregates count.
        After :meth:`start`. Raises MappingError, which names the first thing that is missing; DatabaseError,
        Overloaded.
        """
        async with self._catalogue() as session:
            await schema.check(session, channels_need, counted)

    async def check_look_ups(self, channels: Mapping[str, ChannelSettings]) -> None:
        """See that the look-ups of ``channels`` can run. After :meth:`start`. Raises MappingError, DatabaseError,
        Overloaded.
        """
        async with self._catalogue() as session:
            await lookups.check(session, channels)

    async def columns(self, sources: frozenset[str]) -> dict[str, schema.Table]:
        """The live columns of ``sources``, with their types and keys. After :meth:`start`. Raises DatabaseError,
        Overloaded.
        """
        async with self._catalogue() as session:
            return await schema.tables(session, sources)

    async def prune(self) -> int:
        """Delete one batch of old events; the number left to delete. Raises CaptureDegraded, Overloaded."""
        keep = f"{self._settings.capture.prune_keep_hours} hours"
        async with self._errand.session("pruning") as session:
            return int(await session.value(queries.PRUNE, {"keep": keep}))

    @asynccontextmanager
    async def _catalogue(self) -> AsyncIterator[Session]:
        """The read session before :meth:`run`; from then on it is the loop's alone, and the errand session serves."""
        if self._running:
            async with self._errand.session("reading the catalogue") as session:
                yield session
        elif self._periods.read is None:
            raise CaptureDegraded("capture has not been started")
        else:
            yield self._periods.read

    @asynccontextmanager
    async def _look_up_session(self) -> AsyncIterator[Session]:
        """The read session inside the sink, for nothing is polled then; the errand session elsewhere."""
        if (turn := in_sink.get()) is not None:
            async with turn.lock:
                if turn.active and self._periods.read is not None:
                    yield self._periods.read
                    return
        async with self._errand.session("a look-up") as session:
            yield session
