"""Who decides, when all is over, whether what happened was right."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from relay import jsontext
from tests.support.chaos.journal import EventId, Records
from tests.support.chaos.memory import Key, Life, Watched
from tests.support.chaos.scene import CHANNELS, Channel
from tests.support.chaos.subscribers import Subscriber
from tests.support.database import Database

__all__ = ["Outbox", "judge", "read_outbox"]

Image = Mapping[str, Any]

#: Why a client may be told to start over although nothing was lost: its snapshot or replay was on the way when the
#: relay lost its sessions; too much came meanwhile; it came back after one of those, or with another filter.
HARMLESS = {"reconnected", "overtaken", "view_changed"}


@dataclass(frozen=True)
class Event:
    """One row of the outbox."""

    id: int
    at: int
    xid: int
    source: str
    op: str
    new: Image | None
    old: Image | None

    @property
    def identity(self) -> EventId:
        """What a delivered event is recognised by."""
        return self.id, self.at


@dataclass(frozen=True)
class Outbox:
    """Everything that is committed: the events, and the rows of each channel's table."""

    events: Mapping[EventId, Event]
    rows: Mapping[str, list[Image]]

    def expected(self, watched: Watched) -> dict[EventId, Event]:
        """The events that a subscriber has to be told of."""
        channel = CHANNELS[watched.name]
        return {
            event.identity: event
            for event in self.events.values()
            if event.source == channel.source and _concerns(event, channel, watched)
        }

    def state(self, watched: Watched) -> dict[Key, Image]:
        """The rows that a subscriber has to end with."""
        channel = CHANNELS[watched.name]
        return {
            tuple(str(row[name]) for name in channel.key): channel.shown(row)
            for row in self.rows[channel.table]
            if watched.filter is None or watched.filter.matches(row)
        }


def _concerns(event: Event, channel: Channel, watched: Watched) -> bool:
    matches = watched.filter.matches if watched.filter is not None else lambda row: True
    old, new = event.old, event.new
    if new is None or old is None:
        row = new if old is None else old
        return row is not None and matches(row)
    if matches(old) != matches(new):
        return True
    return matches(new) and channel.shown(old) != channel.shown(new)


def _image(text: str | None) -> Image | None:
    return None if text is None else jsontext.decode(text)


def _event(row: tuple[Any, ...]) -> Event:
    id, at, xid, source, op, new, old = row
    return Event(id, at, xid, source, op, _image(new), _image(old))


async def read_outbox(database: Database) -> Outbox:
    """What the database holds."""
    rows = await database.execute(
        "SELECT id, (extract(epoch FROM at) * 1000000)::bigint, xid::text::bigint, source, op, new::text, old::text"
        " FROM relay.event"
    )
    events = {(row[0], row[1]): _event(row) for row in rows}
    tables = {channel.table for channel in CHANNELS.values()}
    return Outbox(
        events,
        {
            table: [
                jsontext.decode(row[0])
                for row in await database.execute(f"SELECT to_jsonb(t)::text FROM {table} AS t")
            ]
            for table in tables
        },
    )


def judge(outbox: Outbox, records: Records, subscribers: Iterable[Subscriber]) -> Iterator[str]:
    """Everything that is wrong. Commits that a crash took back are no excuse: nobody should have been told of them."""
    yield from _writers(outbox, records)
    for subscriber in subscribers:
        memory = subscriber.memory
        found = [
            f"resync for no good reason: {reason}" for reason in memory.resyncs if reason not in HARMLESS
        ]
        found += memory.faults
        for watched in memory.channels.values():
            found += (f"{watched.name}: {wrong}" for wrong in _channel(outbox, records, watched))
        found += _as_of(records, subscriber)
        yield from (f"{subscriber.name}: {wrong}" for wrong in found)


def _writers(outbox: Outbox, records: Records) -> Iterator[str]:
    if lost := records.committed.keys() - outbox.events.keys():
        yield f"{len(lost)} committed events are not in the outbox: {sorted(lost)[:5]}"
    if undone := records.rolled_back & outbox.events.keys():
        yield f"{len(undone)} events of rolled-back transactions are in the outbox: {sorted(undone)[:5]}"
    tags = {int(event.new["tag"]) for event in outbox.events.values() if event.new is not None}
    if lost_tags := records.tags - tags:
        yield f"{len(lost_tags)} committed statements left no event: {sorted(lost_tags)[:5]}"


def _channel(outbox: Outbox, records: Records, watched: Watched) -> Iterator[str]:
    expected = outbox.expected(watched)
    for life in watched.lives:
        yield from (f"@{at:.3f} {what}" for at, what in life.disorder)
        yield from _invented(outbox, life)
        yield from _life(outbox, records, life)
    told = {(each.id, each.at) for each in watched.life.seen}
    if len(watched.lives) == 1 and (missing := expected.keys() - told):
        yield f"{len(missing)} of {len(expected)} events were never delivered: {_first(missing, outbox)}"
    # A life before the last may have been under another filter.
    if surplus := (told & outbox.events.keys()) - expected.keys():
        yield f"{len(surplus)} events were delivered that do not concern it: {_first(surplus, outbox)}"
    state = outbox.state(watched)
    for key in sorted(state.keys() | watched.rows.keys()):
        have, want = watched.rows.get(key), state.get(key)
        if have is None and not watched.life.whole:
            continue
        if have is None or want is None or {name: str(value) for name, value in have.items()} != want:
            yield f"row {key} ends as {have} and not as {want} ({watched.life.why})"
            return


def _invented(outbox: Outbox, life: Life) -> Iterator[str]:
    if unknown := {(each.id, each.at) for each in life.seen} - outbox.events.keys():
        yield f"{len(unknown)} events were delivered that are not committed: {_first(unknown, outbox)}"


def _life(outbox: Outbox, records: Records, life: Life) -> Iterator[str]:
    told = [(each.id, each.at) for each in life.seen]
    if len(set(told)) < len(told):
        twice = {each for each in told if told.count(each) > 1} if len(told) < 10_000 else set(told)
        yield f"{len(told) - len(set(told))} events came again after de-duplication: {_first(twice, outbox)}"
    if undone := records.rolled_back.intersection(told):
        yield f"{len(undone)} events of rolled-back transactions were delivered: {sorted(undone)[:5]}"


def _as_of(records: Records, subscriber: Subscriber) -> Iterator[str]:
    """Everything committed before a checkpoint's ``as_of`` was delivered before that checkpoint."""
    memory = subscriber.memory
    stamps = list(accumulate((stamp for stamp, _ in memory.checkpoints), max))
    for name, watched in memory.channels.items():
        if len(watched.lives) > 1:
            continue
        for place, each in enumerate(watched.life.seen):
            committed = records.committed.get((each.id, each.at))
            if committed is None:
                continue
            first = bisect_right(stamps, committed)
            if first < len(stamps) and memory.checkpoints[first][1][name][1] <= place:
                yield (
                    f"{name}: event {each.id} was committed by {committed}, and delivered only after a checkpoint"
                    f" that speaks of {stamps[first]}"
                )
                return


def _first(identities: Iterable[EventId], outbox: Outbox) -> str:
    shown = []
    for identity in sorted(identities)[:5]:
        event = outbox.events.get(identity)
        where = f" xid {event.xid} {event.op} {event.source}" if event is not None else ""
        shown.append(f"{identity[0]} at {identity[1]}{where}")
    return "; ".join(shown)
