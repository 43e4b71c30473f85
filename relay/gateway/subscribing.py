"""The life of one connection's subscriptions: subscribe, resume, snapshot, resync, regrant.

    subscribe ──► join (on hold: live events wait) ──► replay or snapshot ──► release ──► live ──► checkpoint
                     ▲                                                                     │
                     └──────────────── resync: what was sent is void ◄─────────────────────┘

Three rules make the seam between what is fetched and what is live exact:

* a subscription joins the live stream *before* anything is fetched for it, so nothing falls in between;
* what was fetched carries the Postgres snapshot it shows, and live events which that snapshot sees are dropped;
* no checkpoint leaves while any subscription of the connection is on hold (the hub sees to it), and one leaves at
  the end, from a poll that has seen everything fetched: coming back with it repeats nothing and loses nothing.

Requests of one connection are worked off in the order they came, see :mod:`relay.gateway.turns`. What a regrant or a
resync does to a subscription whose fetch is under way shows in ``_active`` and ``Active.void``: the fetch notices at
its next step, and starts over or leaves it to what was queued meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import structlog

from relay.errors import CaptureDegraded, FilterRefused, RelayError
from relay.gateway.feeding import Active, Feeder, resync
from relay.gateway.peer import Peer
from relay.gateway.resuming import Replay, resume
from relay.gateway.services import Services
from relay.gateway.turns import Turns
from relay.gateway.watching import Watching
from relay.messages import requests
from relay.messages.codes import CODES
from relay.messages.frames import Error, RequestId, Subscribed, SubscribedChannel, Unsubscribed
from relay.routing import filters
from relay.routing.policies import Grants
from relay.routing.view import View

__all__ = ["Subscriptions"]

log = structlog.get_logger(__name__)

#: Filters for channels not asked for that are named one by one.
STRAYS = 8


class Subscriptions:
    """Subscribes one connection. Nothing here is shared between connections."""

    def __init__(self, peer: Peer, services: Services) -> None:
        self._peer = peer
        self._services = services
        self._active: dict[str, Active] = {}
        self._watching = Watching(peer, services)
        self._feeder = Feeder(peer, services, is_current=self._is_current, stop=self._stop)
        self._turns = Turns(peer, services.tasks)
        self._closed = False

    def __len__(self) -> int:
        return len(self._active) + len(self._watching)

    def __contains__(self, channel: str) -> bool:
        return channel in self._active or channel in self._watching

    @property
    def working(self) -> bool:
        """Whether something that was asked for, or is owed, has not been seen to yet."""
        return self._turns.working

    # What the connection calls. All of it returns at once.

    def subscribe(self, request: requests.Subscribe) -> None:
        """Queue a subscribe. Its answers leave in the order in which requests came."""
        self._request(lambda: self._subscribe(request), request.id)

    def unsubscribe(self, request: requests.Unsubscribe) -> None:
        """Queue an unsubscribe."""
        self._request(lambda: self._unsubscribe(request), request.id)

    def on_resync(self, channels: Iterable[str], reason: str) -> None:
        """The hub has put ``channels`` on hold: tell the client now, fetch them anew when their turn comes."""
        voided = [self._active[name] for name in sorted(channels) if name in self._active]
        if voided:
            self._feeder.void(voided, reason)
            self._turns.queue(lambda: self._refetch(voided))

    def regrant(self, grants: Grants) -> None:
        """Apply what a refreshed token or a reload grants now. A lost channel stops within this call."""
        self._peer.grants = grants
        changed: list[Active] = []
        for active in list(self._active.values()):
            if active.name not in self._services.channels:
                self._leave(active.name, "removed")
                continue
            if active.name not in grants.channels:
                self._leave(active.name, "not_granted")
                continue
            try:
                view = self._view(active.name, active.filter)
            except FilterRefused as refused:
                self._refuse("filter_refused", str(refused), channel=active.name)
                self._leave(active.name, "filter_refused")
                continue
            if view != active.view:
                changed.append(self._join(view, active.filter, active.rows))
        if changed:
            self._peer.send(
                Subscribed(channels={active.name: _describe(active, None) for active in changed}).encode(),
                resync(changed, "view_changed"),
            )
            for active in changed:
                active.void = "view_changed"
            self._turns.queue(lambda: self._refetch(changed))
        for name, reason in self._watching.lost().items():
            self._unwatch(name, reason)
        if replaced := self._watching.replaced():
            self._peer.send(Subscribed(channels=self._watching.describe(replaced)).encode())
            self._watching.join(replaced)

    def close(self) -> None:
        """Forget everything; a fetch under way is cancelled."""
        self._closed = True
        self._watching.close()
        self._turns.close()

    # One request after the other.

    def _request(self, step: Callable[[], Awaitable[None]], request_id: RequestId | None) -> None:
        if self._turns.full:
            self._refuse("busy", "too many requests wait on this connection", id=request_id)
        else:
            self._turns.queue(step)

    async def _unsubscribe(self, request: requests.Unsubscribe) -> None:
        for name in request.channels:
            if name in self._active:
                self._leave(name, "requested", request.id)
            elif name in self._watching:
                self._unwatch(name, "requested", request.id)
            else:
                self._refuse("not_subscribed", "it is not subscribed", id=request.id, channel=name)

    async def _subscribe(self, request: requests.Subscribe) -> None:
        if request.since is not None:
            # It may come from a relay that was ahead of this one, and have seen events that are not published here yet.
            # Those have to come before the first checkpoint, with which it forgets their ids. A poll sees them all.
            await self._services.capture.poll_now()
        self._refuse_stray_filters(request)
        joined, watched = self._join_all(request)
        if not joined and not watched:
            return
        views = {active.name: active.view for active in joined}
        replays, refused = await resume(self._services, request, views)
        joined = [active for active in joined if self._is_current(active)]
        for active in joined:
            if active.void:  # while the replay was read, the hub found that history is broken
                replays.pop(active.name, None)
                refused.setdefault(active.name, active.void)
        described = {active.name: _describe(active, replays.get(active.name)) for active in joined}
        watched = [name for name in watched if self._watching.granted(name)]
        described |= self._watching.describe(watched)
        self._peer.send(Subscribed(id=request.id, channels=described).encode())
        self._watching.join(watched)
        for reason in sorted(set(refused.values())):
            if void := [active for active in joined if refused.get(active.name) == reason]:
                self._peer.send(resync(void, reason))
        for active in joined:
            if active.name in refused:
                active.void = refused[active.name]
        for active in joined:
            if active.name in replays:
                await self._feeder.replay(active, replays[active.name])
            else:
                await self._feeder.fill(active)
        await self._checkpoint()

    async def _refetch(self, voided: Sequence[Active]) -> None:
        for active in voided:
            if active.void:  # else a fetch that was under way has seen to it
                await self._feeder.fill(active)
        await self._checkpoint()

    def _refuse_stray_filters(self, request: requests.Subscribe) -> None:
        """A filter that would apply to nothing is a mistake that nobody may overlook: they would see more than they
        think."""
        strays = [name for name in request.filters if name not in request.channels]
        for name in strays[:STRAYS]:
            message = "there is a filter for it, but it is not among the channels of this subscribe"
            self._refuse("filter_refused", message, id=request.id, channel=name[:64])

    def _join_all(self, request: requests.Subscribe) -> tuple[list[Active], list[str]]:
        """Subscriptions on hold, and aggregates that may be watched."""
        joined: list[Active] = []
        watched: list[str] = []
        limit = self._services.settings.limits.subscriptions_per_connection
        for name in dict.fromkeys(request.channels):
            try:
                view = None
                if not self._watching.granted(name):
                    view = self._view(name, request.filters.get(name))
                elif request.filters.get(name):
                    raise FilterRefused("it is an aggregate, which takes no filter")
            except FilterRefused as refused:
                self._refuse("filter_refused", str(refused), id=request.id, channel=name)
            except KeyError:
                message = "it does not exist, or this token does not grant it"
                self._refuse("unknown_channel", message, id=request.id, channel=name)
            else:
                if name not in self and len(self) + len(watched) >= limit:
                    message = f"{limit} subscriptions are the limit of one connection"
                    self._refuse("too_many_subscriptions", message, id=request.id, channel=name)
                elif view is None:
                    watched.append(name)
                else:
                    joined.append(self._join(view, request.filters.get(name), request.snapshot or 0))
        return joined, watched

    def _view(self, name: str, source: object) -> View:
        """The view of ``name`` under today's grants. Raises KeyError, FilterRefused."""
        if name not in self._peer.grants.channels:
            raise KeyError(name)
        channel, grants = self._services.channels[name], self._peer.grants
        fields = grants.projection(channel).filterable
        return grants.view(channel, filters.parse(source, fields, self._services.settings.limits))

    def _join(self, view: View, filter: Any, rows: int) -> Active:
        name = view.channel.name
        subscription = self._services.hub.join(self._peer.subscriber, view)
        active = self._active[name] = Active(name, view, filter or {}, subscription, rows)
        return active

    def _leave(self, name: str, reason: str, request_id: RequestId | None = None) -> None:
        del self._active[name]
        self._services.hub.leave(self._peer.subscriber, name)
        self._peer.send(Unsubscribed(id=request_id, channels=[name], reason=reason).encode())

    def _unwatch(self, name: str, reason: str, request_id: RequestId | None = None) -> None:
        self._watching.leave(name)
        self._peer.send(Unsubscribed(id=request_id, channels=[name], reason=reason).encode())

    def _stop(self, active: Active, why: RelayError) -> None:
        """A snapshot that cannot be had (a statement timeout, say) ends its own channel only."""
        log.warning("snapshot_failed", channel=active.name, why=str(why))
        # Of everything else the reason is the operator's: it may name tables, columns and roles.
        text = str(why) if isinstance(why, FilterRefused) else CODES["snapshot_failed"].message
        self._refuse("snapshot_failed", text, channel=active.name)
        self._leave(active.name, "snapshot_failed")

    def _refuse(
        self, code: str, message: str, *, id: RequestId | None = None, channel: str | None = None
    ) -> None:
        text = message if channel is None else f"channel {channel}: {message}"
        self._peer.send(Error.of(code, text, id=id, channel=channel).encode())

    def _is_current(self, active: Active) -> bool:
        return not self._closed and self._active.get(active.name) is active

    async def _checkpoint(self) -> None:
        if self._peer.subscriber.floored:
            # What was fetched is newer than the last poll. With a checkpoint of before it the client would forget ids
            # that come again if it is cut now; the hub sends one as soon as a poll has seen as much.
            with contextlib.suppress(CaptureDegraded):
                await self._services.capture.poll_now(check=False)
        elif (checkpoint := self._services.hub.checkpoint_for(self._peer.subscriber)) is not None:
            self._peer.send(checkpoint)


def _describe(active: Active, replay: Replay | None) -> SubscribedChannel:
    return SubscribedChannel(
        filter=active.filter,
        view=active.view.hash,
        resumed=replay is not None,
        replayed=0 if replay is None else len(replay.messages),
    )
