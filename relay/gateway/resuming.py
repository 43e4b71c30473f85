"""What a client that comes back with its cursor has missed, or why nobody can tell.

The last batches are still in memory: a cursor inside that ring costs no SQL. An older one is checked and read on the
errand session, once for all channels of the request. Either way every message carries the snapshots that say which
live events it includes. A cursor is unsigned: whatever it claims, today's policy decides what is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from relay import metrics
from relay.capture.cursor import Cursor
from relay.capture.snapshot import Snapshot
from relay.errors import CursorInvalid, ResumeRefused
from relay.gateway.services import Services
from relay.messages.requests import Subscribe
from relay.routing.view import View

__all__ = ["Replay", "resume"]

#: Messages of a replay made before other tasks get their turn.
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Replay:
    """Missed messages of one channel, and the snapshots that say which live events they include."""

    messages: Sequence[bytes]
    floors: tuple[Snapshot, ...]


async def resume(
    services: Services, request: Subscribe, views: Mapping[str, View]
) -> tuple[dict[str, Replay], dict[str, str]]:
    """Replays per channel, and for the other channels the reason of their ``resync``; neither without ``since``.

    A channel is resumed only under the view the client brings along: under another filter, scope or projection,
    rows that it holds may have to go without any event that says so. Raises CaptureDegraded, Overloaded.
    """
    if request.since is None:
        return {}, {}
    try:
        cursor = Cursor.decode(request.since)
    except CursorInvalid:
        return {}, dict.fromkeys(views, "cursor")
    refused = {name: "view_changed" for name, view in views.items() if request.views.get(name) != view.hash}
    if cursor.epoch == services.capture.epoch:
        # What went by while a trigger was off is in no ring and in no outbox.
        broken = services.capture.broken(cursor)
        unspoken = {name for name, view in views.items() if not broken.isdisjoint(view.sources)}
        refused |= dict.fromkeys(unspoken, "capture_changed")
    replays: dict[str, Replay] = {}
    beyond: dict[str, View] = {}
    # No await before the ring has been asked for every channel: nothing is published in between, so a replay
    # ends exactly where the subscription joined.
    for name, view in views.items():
        if name not in refused:
            if (messages := services.hub.replay(view, cursor)) is None:
                beyond[name] = view
            else:
                replays[name] = Replay(messages, (cursor.snapshot,))
                metrics.replays_total.labels("memory").inc()
    if beyond:
        try:
            found, void = await _from_outbox(services, cursor, beyond)
        except ResumeRefused as no:
            refused |= dict.fromkeys(beyond, no.reason)
        else:
            replays |= found
            refused |= void
    for reason in refused.values():
        metrics.resumes_refused_total.labels(reason).inc()
    return replays, refused


async def _from_outbox(
    services: Services, cursor: Cursor, views: Mapping[str, View]
) -> tuple[dict[str, Replay], dict[str, str]]:
    resumed = await services.capture.resume(cursor)
    prepared = await services.preparer.prepare(resumed.changes, replayed=True)
    floors = (cursor.snapshot, resumed.snapshot)
    replays: dict[str, Replay] = {}
    void: dict[str, str] = {}
    for name, view in views.items():
        if not resumed.broken.isdisjoint(view.sources):
            void[name] = "capture_changed"
            continue
        try:
            messages = await _gathered(services.hub.render(view, prepared))
        except ResumeRefused as no:
            # A table emptied, or a look-up that scopes this view changed, while the client was away.
            void[name] = no.reason
        else:
            replays[name] = Replay(messages, floors)
            metrics.replays_total.labels("outbox").inc()
    return replays, void


async def _gathered(messages: Iterable[bytes | None]) -> list[bytes]:
    """The messages, with pauses for everybody else while they are made."""
    gathered = []
    for count, message in enumerate(messages, 1):
        if message is not None:
            gathered.append(message)
        if count % AT_ONCE == 0:
            await asyncio.sleep(0)
    return gathered
