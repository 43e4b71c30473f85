"""What a view missed, told as the messages it would have got."""

from __future__ import annotations

from relay.capture.snapshot import Snapshot
from relay.errors import ResumeRefused
from relay.routing.breaks import ROW_UNKNOWN, breaks
from relay.routing.event import Prepared
from relay.routing.render import Verdict, decide, message
from relay.routing.view import View

__all__ = ["retell"]


def retell(view: View, prepared: Prepared, since: Snapshot | None = None) -> list[tuple[int, bytes]]:
    """The messages, with their xids, that ``view`` gets of what ``since`` (None: nothing) does not see yet.

    Raises ResumeRefused if something of it cannot be told as messages: TRUNCATE, a changed scope.
    """
    for each in breaks(view, prepared):
        if since is None or not since.sees(each.xid):
            raise ResumeRefused(each.reason)
    told = []
    for event in prepared.events:
        if event.channel != view.channel.name or (since is not None and since.sees(event.xid)):
            continue
        verdict = decide(view, event)
        if verdict is Verdict.RESYNC:
            raise ResumeRefused(ROW_UNKNOWN)
        if verdict is not Verdict.NOTHING:
            told.append((event.xid, message(view.channel, view.projection, event, verdict)))
    return told
