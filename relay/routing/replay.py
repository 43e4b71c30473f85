"""What a view missed, told as the messages it would have got."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relay import jsontext
from relay.capture.cursor import Cursor
from relay.capture.snapshot import Snapshot
from relay.errors import ResumeRefused
from relay.routing.breaks import ROW_UNKNOWN, breaks
from relay.routing.event import Prepared, PreparedEvent
from relay.routing.position import Position
from relay.routing.render import Verdict, decide, message, once_more
from relay.routing.ring import Ring
from relay.routing.view import View

__all__ = ["recall", "retell"]


def retell(view: View, prepared: Prepared, since: Snapshot | None = None) -> Iterator[bytes | None]:
    """For each event that ``since`` (None: nothing) does not see yet, the message that ``view`` gets of it, or None.

    Raises ResumeRefused if something of it cannot be told as messages: TRUNCATE, a changed scope, another mapping.
    """
    for each in breaks(view, prepared):
        if since is None or not since.sees(each.xid):
            raise ResumeRefused(each.reason)
    events = [event for event in prepared.events if event.channel == view.channel.name]
    rows: dict[bytes, list[int]] = {}
    for place, event in enumerate(events):
        if since is not None and since.sees(event.xid):
            continue
        if event.mapping != view.channel.fingerprint:
            raise ResumeRefused("view_changed")
        verdict = _live(view, event)
        if verdict is Verdict.RESYNC:
            raise ResumeRefused(ROW_UNKNOWN)
        if verdict is Verdict.NOTHING and (again := once_more(view, event)) is not Verdict.NOTHING:
            # Who knows what comes later of the same row would drop that, and be left with this.
            rows = rows or _by_row(events)
            later = [events[each] for each in rows[_row(event)] if each > place]
            if all(_live(view, each) is once_more(view, each) is Verdict.NOTHING for each in later):
                verdict = again
        told = verdict is not Verdict.NOTHING
        yield message(view.channel, view.projection, event, verdict) if told else None


def _as_one(batches: Sequence[Prepared]) -> Prepared:
    return Prepared(
        events=tuple(event for each in batches for event in each.events),
        truncations=tuple(one for each in batches for one in each.truncations),
        scope_changes=tuple(one for each in batches for one in each.scope_changes),
    )


def _live(view: View, event: PreparedEvent) -> Verdict:
    return Verdict.NOTHING if event.fleeting else decide(view, event)


def _row(event: PreparedEvent) -> bytes:
    return jsontext.encode(event.key)


def _by_row(events: Sequence[PreparedEvent]) -> dict[bytes, list[int]]:
    rows: dict[bytes, list[int]] = {}
    for place, event in enumerate(events):
        rows.setdefault(_row(event), []).append(place)
    return rows


def recall(ring: Ring, live: Position, view: View, cursor: Cursor) -> list[bytes] | None:
    """What ``view`` missed since ``cursor``, up to everything published so far, from memory.

    None where that cannot be shown: the cursor is of another epoch, was issued while some table was captured otherwise,
    does not stand on what the ring holds (see :mod:`relay.routing.ring`), or something missed cannot be told.
    """
    proof = live.proof
    if proof is None or cursor.epoch != proof.epoch or cursor.marks != proof.marks:
        return None
    folded = view.channel.name if view.channel.coalesce else ""
    missed = ring.since(cursor.snapshot, cursor.witness, live.snapshot, folded=folded)
    if missed is None:
        return None
    try:
        return [text for text in retell(view, _as_one(missed), cursor.snapshot) if text is not None]
    except ResumeRefused:
        return None
