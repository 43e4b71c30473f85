"""The exact reader: everything that became visible since the last poll, once, in bounded memory.

Each call reads and returns a batch together with the position after it. The position is taken over by ``accept`` only
when the batch has been handed on, so that a failure on the way repeats rather than loses.

    poll()   the main stream: one statement. If more became visible than fits in a chunk, nothing is published;
             the interval is kept as ``overflow``
    scout()  finds out which sources an overflow is about, and makes each a lane
    step()   one piece of one lane: a window of ids of its large commit, or, when that is done, its catching up with
             the main stream, after which the lane is gone
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from relay.capture import change, queries
from relay.capture.change import Change
from relay.capture.cursor import Witness
from relay.capture.extents import extents
from relay.capture.session import Row, Session
from relay.capture.snapshot import Snapshot
from relay.capture.state import Lane, State, interval
from relay.errors import BadOutboxRow, CaptureDegraded, SchemaMismatch

__all__ = ["Found", "Reader", "begin"]

# A window of ids grows while it finds little, up to so many chunks.
_WIDEST = 16


@dataclass(frozen=True, slots=True)
class Found:
    """What one call brought. ``part``: some of a large commit, no position can be published after it. ``unsettled``: up
    to where the server's log has to be on disk before anything of this is told; a crash could take it back.
    """

    changes: tuple[Change, ...]
    bad: tuple[BadOutboxRow, ...]
    bad_sources: frozenset[str]
    state: State
    as_of: datetime
    part: bool = False
    rows: int = 0
    unsettled: str | None = None


class Reader:
    """Reads for ``sources``; other sources of the outbox are passed over."""

    def __init__(self, sources: frozenset[str], chunk_rows: int, state: State, install_id: UUID) -> None:
        self._sources = sources
        self._chunk = chunk_rows
        self._install_id = str(install_id)
        self._as_of: datetime | None = None
        self.state = state
        self.alarm = True

    @property
    def busy(self) -> bool:
        """Whether a large commit is on its way."""
        return bool(self.state.lanes) or self.state.overflow is not None

    def accept(self, found: Found) -> None:
        """The batch has been handed on: go on from there."""
        self.state = found.state

    async def poll(self, session: Session) -> Found:
        """Everything outside the lanes that became visible since the last poll."""
        state = self.state
        params = {
            "xmax": str(state.prev.xmax),
            "xip": [str(xid) for xid in sorted(state.prev.xip)],
            "lagging": sorted(state.lagging),
            "limit": self._chunk + 1,
        }
        rows = await session.fetch(queries.POLL, params)
        header = next((row for row in rows if row[0] is None), None)
        if header is None:
            raise SchemaMismatch("relay.state is empty; run relay install --apply")
        _, snapshot, now, install_id, alarm, horizon, unsettled, _ = header
        if install_id != self._install_id:
            raise CaptureDegraded("the outbox was reset; beginning again")
        self.alarm = alarm == "true"
        self._as_of = as_of = datetime.fromisoformat(now)
        pruned = Snapshot.parse(horizon)
        if pruned != state.horizon and not all(base.covers(pruned) for base in state.bases):
            raise _pruned()
        if len(rows) == 1 and not self.busy and pruned == state.horizon:
            unsettled = None  # nothing is told
        state = replace(state, horizon=pruned)
        if len(rows) - 1 > self._chunk:
            state = replace(state, overflow=Snapshot.parse(snapshot))
            return Found((), (), frozenset(), state, as_of, unsettled=unsettled)
        state = replace(state, prev=Snapshot.parse(snapshot))
        found = self._found([row for row in rows if row[0] is not None], state, as_of)
        return replace(found, unsettled=unsettled)

    async def scout(self, session: Session) -> None:
        """Make each source of an overflow a lane. Nothing is published, so the position moves at once.

        One lane for each, for a table with a single row in the interval shall not wait for one with a million.
        """
        state = self.state
        assert state.overflow is not None
        found = await extents(session, state.prev, state.overflow)
        # The shortest first: most sources of a large commit have a few rows in it.
        lanes = [
            Lane(source, state.prev).towards(state.overflow, first, last, self._chunk)
            for source, (first, last) in sorted(found.items(), key=lambda item: item[1][1] - item[1][0])
            if source in self._sources - state.lagging
        ]
        await self._see_that_nothing_is_gone(session, state.prev)
        self.state = replace(state, prev=state.overflow, overflow=None, lanes=(*lanes, *state.lanes))

    async def step(self, session: Session) -> Found:
        """One piece of the lane whose turn it is."""
        lane = self.state.lanes[0]
        # The lane goes to the end of the queue, so that each has its turn.
        turned = replace(self.state, lanes=(*self.state.lanes[1:], lane))
        if lane.target is None:
            return await self._catch_up(session, turned, lane)
        last = min(lane.last_id, lane.next_id + lane.width - 1)
        params = {
            "first": lane.next_id,
            "last": last,
            "source": lane.source,
            "target": str(lane.target),
            "base": str(lane.base),
            "limit": self._chunk + 1,
        }
        rows = await session.fetch(queries.WINDOW, params)
        if len(rows) > self._chunk:
            # Ids may be there twice (a sequence that fell behind), so the last one is left to the next window.
            cut = rows[-1][0]
            if rows[0][0] != cut:
                kept = [row for row in rows if row[0] != cut]
                return await self._part(session, kept, turned, lane, lane.past(cut, self._chunk))
            rows = await session.fetch(queries.WINDOW, params | {"last": cut, "limit": None})
            return await self._part(session, rows, turned, lane, lane.past(cut + 1, self._chunk))
        width = lane.width if len(rows) > self._chunk // 4 else min(lane.width * 2, self._chunk * _WIDEST)
        following = last + 1
        if not rows and following <= lane.last_id:
            near = await session.fetch(queries.NEXT_ID, {"after": last, "last": lane.last_id})
            following = near[0][0] if near else lane.last_id + 1
        return await self._part(session, rows, turned, lane, lane.past(following, width))

    async def _catch_up(self, session: Session, turned: State, lane: Lane) -> Found:
        target = turned.prev
        between = interval(lane.base, target) | {"source": lane.source}
        rows = await session.fetch(queries.INTERVAL, between | {"limit": self._chunk + 1})
        if len(rows) <= self._chunk:
            await self._see_that_nothing_is_gone(session, lane.base)
            return self._found(rows, turned.with_lane(lane, None), self.as_of)
        found = await extents(session, lane.base, target)
        first, last = found.get(lane.source, (0, -1))
        return await self._part(session, [], turned, lane, lane.towards(target, first, last, self._chunk))

    @staticmethod
    async def _see_that_nothing_is_gone(session: Session, base: Snapshot) -> None:
        # A poll sees the horizon and the rows at once. What is read piece by piece may be pruned in between, and once
        # the base has moved on nothing would show it.
        if not base.covers(Snapshot.parse(await session.value(queries.HORIZON))):
            raise _pruned()

    @property
    def as_of(self) -> datetime:
        """``now()`` of the last poll: everything committed before it was visible to it."""
        assert self._as_of is not None
        return self._as_of

    async def _part(
        self, session: Session, rows: Sequence[Row], turned: State, lane: Lane, moved: Lane
    ) -> Found:
        if moved.base != lane.base:
            await self._see_that_nothing_is_gone(session, lane.base)
        return replace(self._found(rows, turned.with_lane(lane, moved), self.as_of), part=True)

    def _found(self, rows: Sequence[Row], state: State, as_of: datetime) -> Found:
        changes, bad, bad_sources = [], [], set()
        for row in sorted(rows, key=_in_order):
            if row[3] not in self._sources:
                continue
            try:
                changes.append(change.parse(row))
            except BadOutboxRow as error:
                bad.append(error)
                bad_sources.add(row[3])
        seen = state.saw(_newest(rows))
        return Found(tuple(changes), tuple(bad), frozenset(bad_sources), seen, as_of, rows=len(rows))


def _pruned() -> CaptureDegraded:
    return CaptureDegraded("events were pruned before this relay had read them; beginning again")


def _newest(rows: Sequence[Row]) -> Witness | None:
    row = max(rows, key=lambda row: (int(row[1]), row[0]), default=None)
    return _witness(*row[:3]) if row is not None else None


def _witness(event_id: int, xid: str, at: str) -> Witness | None:
    try:
        return Witness(event_id, int(xid), datetime.fromisoformat(at))
    except ValueError:
        # A time outside of Python's calendar, in a row that no trigger of ours wrote. Any older witness is good too.
        return None


def _in_order(row: Row) -> tuple[int, int]:
    """Changes of one row are ordered by id: its next writer gets an id only once it has the row's lock."""
    return row[0], int(row[1])


async def begin(session: Session) -> State:
    """The position of a relay that begins at the present."""
    ((snapshot, horizon, event_id, xid, at),) = await session.fetch(queries.NEWEST)
    await session.settle()
    witness = _witness(event_id, xid, at) if event_id is not None else None
    return State(Snapshot.parse(snapshot), witness, Snapshot.parse(horizon))
