"""What a subscriber is told of an event: the one place where policy and filter meet, and the message that follows.

For an update, by whether policy (P) and filter (F) matched the old row and match the new one:

    old      new      told
    P F      P F      the update; nothing if no visible field changed
    P F      P -      the update, ``left``: the row is still theirs to see
    P F      -        ``left`` with the id alone
    P -      P F      the update, ``entered``
    -        P F      the update, ``entered``, without ``changed`` and ``previous_status``: the old row was not theirs
    else              nothing

Changes are those of what is shown: where a mask hides the difference, nothing has changed.

An event whose row cannot be shown is ``withheld`` from subscribers without scope. Under a scope even that would tell
too much: there a row that is not valid ``left`` if it was theirs, else nothing is said. Where what the row is or was is
not known at all, so that it may be theirs, only starting over is honest: RESYNC.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from relay.messages import data
from relay.routing.channel import Channel
from relay.routing.conditions import EVERY_FIELD
from relay.routing.event import PreparedEvent
from relay.routing.identity import identity
from relay.routing.projection import Projection
from relay.routing.view import View

__all__ = ["Verdict", "decide", "message", "once_more"]


class Verdict(Enum):
    """What becomes of one event for one view."""

    NOTHING = "nothing"
    CREATED = "created"
    UPDATED = "updated"
    ENTERED = "entered"
    #: The whole row, with no word about what it was before: that was not theirs to see, or is not known.
    DISCLOSED = "disclosed"
    #: As DISCLOSED, for a row that came into the policy.
    ENTERED_SCOPE = "entered scope"
    LEFT = "left"
    LEFT_ID = "left, id alone"
    DELETED = "deleted"
    WITHHELD = "withheld"
    RESYNC = "resync"


def decide(view: View, event: PreparedEvent) -> Verdict:
    """What the subscribers of ``view`` are told of ``event``."""
    op, new, old = event.op, event.new, event.old
    if op == "delete":
        if old is not None:
            return Verdict.DELETED if view.wants(old, ()) else Verdict.NOTHING
        return _unknown(event) if view.scoped else Verdict.DELETED
    if new is None:
        if not view.scoped:
            return Verdict.WITHHELD
        if event.lost or old is None:
            return _unknown(event)
        return Verdict.LEFT_ID if view.wants(old, ()) else Verdict.NOTHING
    if op == "insert":
        return Verdict.CREATED if view.wants(new, EVERY_FIELD) else Verdict.NOTHING
    if old is None:
        if not view.allows(new):
            return _unknown(event)
        return Verdict.DISCLOSED if view.filter.matches(new, EVERY_FIELD) else Verdict.LEFT_ID
    changed = event.changed(view.projection)
    if not view.allows(new):
        return Verdict.LEFT_ID if view.wants(old, ()) else Verdict.NOTHING
    if not view.allows(old):
        return Verdict.ENTERED_SCOPE if view.filter.matches(new, EVERY_FIELD) else Verdict.NOTHING
    has = view.filter.matches(new, changed)
    if view.filter.matches(old, changed):
        if has:
            return Verdict.UPDATED if changed else Verdict.NOTHING
        return Verdict.LEFT
    return Verdict.ENTERED if has else Verdict.NOTHING


def once_more(view: View, event: PreparedEvent) -> Verdict:
    """What those who come back are told of ``event`` though it is no news as a whole: of a part of it they may have
    been told, and so they are told the row as it is now, or that it is gone.
    """
    if event.between is None or any(each.op == "changed" for each in view.filter.conditions):
        return (
            Verdict.NOTHING
        )  # a filter on changes chooses events, and there is no row that would have to be right
    if event.new is not None and view.wants(event.new, ()):
        return Verdict.DISCLOSED
    if not any(view.wants(row, ()) for row in event.between):
        return Verdict.NOTHING
    return Verdict.DELETED if event.op == "delete" else Verdict.LEFT_ID


def _unknown(event: PreparedEvent) -> Verdict:
    # A row that is not valid is nobody's: whoever had it when it was valid has been told that it left.
    return Verdict.RESYNC if event.lost else Verdict.NOTHING


def message(channel: Channel, projection: Projection, event: PreparedEvent, verdict: Verdict) -> bytes:
    """The message for a verdict other than NOTHING and RESYNC; the same bytes for everybody it concerns."""
    known = event.encoded.get((projection, verdict))
    if known is None:
        known = event.encoded[projection, verdict] = _encode(channel, projection, event, verdict)
    return known


def _encode(channel: Channel, projection: Projection, event: PreparedEvent, verdict: Verdict) -> bytes:
    if verdict is Verdict.WITHHELD:
        return data.withheld(channel.name, event.id)
    action, membership = "updated", None
    changed: tuple[str, ...] | None = None
    previous = None
    row: Mapping[str, Any]
    if verdict is Verdict.DELETED:
        action, row = "deleted", identity(channel, event)
    elif verdict is Verdict.LEFT_ID:
        membership, row = "left", identity(channel, event)
    else:
        assert event.new is not None
        row = projection.wire(event.new)
        if verdict is Verdict.CREATED:
            action = "created"
        elif verdict is Verdict.ENTERED_SCOPE:
            membership = "entered"
        elif verdict is not Verdict.DISCLOSED:
            assert event.old is not None
            membership = verdict.value if verdict is not Verdict.UPDATED else None
            # What a mask has taken away from view has no name any more.
            changed = tuple([name for name in event.changed(projection) if name in row])
            if projection.status in changed:
                action = _status_action(channel, row[projection.status])
                previous = projection.shown(projection.status, event.old)
    return data.data(
        type=channel.message,
        channel=channel.name,
        id=event.id,
        at=event.at,
        action=action,
        object=channel.object,
        row=row,
        changed=changed,
        previous_status=previous,
        membership=membership,
    )


def _status_action(channel: Channel, status: Any) -> str:
    """What a change of the status to ``status``, as it is shown, is called."""
    if channel.actions is None:
        return "status_changed"
    return channel.actions.get(status, "updated") if isinstance(status, str) else "updated"
