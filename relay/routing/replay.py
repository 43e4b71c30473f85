"""What a view missed, told as the messages it would have got."""

from __future__ import annotations

from collections.abc import Iterator

from relay.capture.cursor import Cursor
from relay.capture.snapshot import Snapshot
from relay.errors import ResumeRefused
from relay.routing.breaks import ROW_UNKNOWN, breaks
from relay.routing.event import Prepared
from relay.routing.position import Position
from relay.routing.render import Verdict, decide_again, message
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
    for event in prepared.events:
        if event.channel != view.channel.name or (since is not None and since.sees(event.xid)):
            continue
        if event.mapping != view.channel.fingerprint:
            raise ResumeRefused("view_changed")
        verdict = decide_again(view, event)
        if verdict is Verdict.RESYNC:
            raise ResumeRefused(ROW_UNKNOWN)
        told = verdict is not Verdict.NOTHING
        yield message(view.channel, view.projection, event, verdict) if told else None


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
        told = (text for prepared in missed for text in retell(view, prepared, cursor.snapshot))
        return [text for text in told if text is not None]
    except ResumeRefused:
        return None
