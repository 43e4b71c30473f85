"""The hub: every batch is matched once per group, encoded once per message, and bundled once per set of receivers.

It is plain synchronous code that never waits. One call of :meth:`Hub.publish` runs through these steps:

1. What the batch makes void (a gap, TRUNCATE, a look-up that a scope depends on) puts subscriptions on hold.
2. Each event is shown to the groups it could concern, and so becomes messages, or more that is void.
3. Subscribers hear of what is void, once each, before anything else of this batch.
4. Held subscriptions keep their messages, live ones get theirs, all in one bundle per connection, with a checkpoint if
   everything the connection subscribes to is complete up to the new position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from relay.capture.batch import Batch
from relay.capture.cursor import Cursor
from relay.capture.snapshot import Snapshot
from relay.routing.breaks import ROW_UNKNOWN, breaks, gap_break
from relay.routing.channel import Channel
from relay.routing.delivery import Delivery, Out
from relay.routing.event import Prepared
from relay.routing.groups import Group, Subscriber, Subscription
from relay.routing.outlet import Bundle, Outlet
from relay.routing.position import Position
from relay.routing.render import Verdict, decide, message
from relay.routing.replay import recall, retell
from relay.routing.ring import Ring
from relay.routing.rooms import Rooms
from relay.routing.view import View

__all__ = ["Hub"]


class Hub:
    """Who gets what. ``position`` is up to where everything has been published, None before the first batch.

    ``matched`` counts how often a view was asked about an event, ``turn`` how many batches were published and sessions
    lost: what was begun in an earlier turn than a subscription was put on hold is of no use to it.
    """

    def __init__(self, channels: Mapping[str, Channel], ring_events: int, held_events: int) -> None:
        self._rooms = Rooms(channels)
        self._ring = Ring(ring_events)
        self._held_events = held_events
        self._subscribers: dict[Subscriber, None] = {}
        self._floored: dict[Subscription, None] = {}
        self._lagging: frozenset[str] = frozenset()
        self._degraded: datetime | None = None
        self.position: Position | None = None
        self.matched = 0
        self.turn = 0

    # Who is there

    @property
    def subscribers(self) -> list[Subscriber]:
        """All attached subscribers, longest attached first."""
        return list(self._subscribers)

    @property
    def groups(self) -> int:
        """The number of different views subscribed to."""
        return len(self._rooms.groups())

    @property
    def subscriptions(self) -> int:
        """The number of subscriptions."""
        return sum(len(each.subscriptions) for each in self._subscribers)

    @property
    def ring_events(self) -> int:
        """The number of events kept for resumes without SQL."""
        return len(self._ring)

    def attach(self, outlet: Outlet) -> Subscriber:
        """Make ``outlet`` a subscriber, with no subscriptions yet."""
        subscriber = Subscriber(outlet)
        self._subscribers[subscriber] = None
        return subscriber

    def detach(self, subscriber: Subscriber) -> None:
        """Forget a subscriber. Forgetting one twice is fine."""
        self._subscribers.pop(subscriber, None)
        for channel in list(subscriber.subscriptions):
            self.leave(subscriber, channel)

    # Subscriptions

    def join(self, subscriber: Subscriber, view: View) -> Subscription:
        """Subscribe, on hold: from now on nothing of the channel is missed. Replaces the subscriber's earlier
        subscription to this channel. Raises KeyError for a channel that is not there (any more)."""
        room = self._rooms[view.channel.name]
        self.leave(subscriber, view.channel.name)
        subscription = room.admit(subscriber, view)
        subscriber.subscriptions[view.channel.name] = subscription
        subscriber.holds += 1
        return subscription

    def leave(self, subscriber: Subscriber, channel: str) -> None:
        """End a subscription, if there is one."""
        subscription = subscriber.subscriptions.pop(channel, None)
        if subscription is None:
            return
        if subscription.held is not None:
            subscriber.holds -= 1
        self._unfloor(subscription)
        if room := self._rooms.get(channel):
            room.dismiss(subscription)

    def hold(self, subscription: Subscription) -> None:
        """Put a subscription (back) on hold with nothing held: a snapshot taken from now on makes it whole again."""
        if subscription.group is None:
            return
        if subscription.held is None:
            subscription.subscriber.holds += 1
            subscription.group.live.pop(subscription, None)
            subscription.group.apart[subscription] = None
        self._unfloor(subscription)
        subscription.held = []
        subscription.overflowed = False

    def take(self, subscription: Subscription, *, floors: tuple[Snapshot, ...] = ()) -> list[bytes] | None:
        """What :meth:`release` would return, while the subscription stays on hold: for more than fits at once."""
        if subscription.held is None:
            return [] if subscription.group is not None else None
        messages = subscription.drain(floors) if subscription.group is not None else None
        self.hold(subscription)
        return messages

    def release(self, subscription: Subscription, *, floors: tuple[Snapshot, ...] = ()) -> list[bytes] | None:
        """Make a subscription live; the held messages that none of ``floors`` shows have to be sent at once.

        ``floors`` are what the snapshot and replay just sent can see. None: what was held is not whole, so it stays on
        hold, with nothing held, until the snapshot has been taken again; or it is gone.
        """
        messages = self.take(subscription, floors=floors)
        if messages is None or subscription.held is None:
            return messages
        subscription.held = None
        subscription.subscriber.holds -= 1
        subscription.floors = tuple(floor for floor in floors if not self._reached(subscription, floor))
        if subscription.floors:
            self._floored[subscription] = None
            subscription.subscriber.floored += 1
        else:
            self._mingle(subscription)
        return messages

    def _unfloor(self, subscription: Subscription) -> None:
        if subscription in self._floored:
            del self._floored[subscription]
            subscription.subscriber.floored -= 1
        subscription.floors = ()

    def _reached(self, subscription: Subscription, floor: Snapshot) -> bool:
        """Whether no event that ``floor`` sees can still come to ``subscription``."""
        return (
            self.position is not None
            and self._lagging.isdisjoint(subscription.view.sources)
            and self.position.snapshot.covers(floor)
        )

    @staticmethod
    def _mingle(subscription: Subscription) -> None:
        if subscription.group is not None:
            subscription.group.apart.pop(subscription, None)
            subscription.group.live[subscription] = None

    # Publishing

    def publish(self, prepared: Prepared, batch: Batch) -> None:
        """Bring one batch to everybody it concerns. ``prepared`` is what ``batch.changes`` mean for the channels."""
        self.turn += 1
        self._lagging = batch.lagging
        if batch.gap is not None:
            self._ring.clear()
        self._ring.add(prepared, batch)
        delivery = Delivery(self.hold, self._held_events)
        if batch.gap is not None or prepared.scope_changes or prepared.truncations:
            for group in self._rooms.groups():
                if (reason := gap_break(group.view, batch.gap)) is not None:
                    delivery.void(group, reason, None)
                for each in breaks(group.view, prepared):
                    delivery.void(group, each.reason, each.xid if each.curable else None)
        outs = self._match(prepared)
        for group, messages in outs.items():
            for out in messages:
                if out.message is None:
                    delivery.void(group, ROW_UNKNOWN, out.xid)
        delivery.announce()
        if batch.snapshot is not None:
            self.position = Position.after(batch, self._degraded)
        checkpoint = self.position if batch.snapshot is not None else None
        for subscriber in delivery.distribute(outs, checkpoint, self._lagging):
            self.detach(subscriber)
        self._lower_floors()

    def _match(self, prepared: Prepared) -> dict[Group, list[Out]]:
        outs: dict[Group, list[Out]] = {}
        for place, event in enumerate(prepared.events):
            room = self._rooms.get(event.channel)
            if room is None or not room.groups or event.mapping != room.mapping or event.fleeting:
                # Another mapping: prepared before a reload. Whoever subscribed since begins after it.
                continue
            for group in room.concerned(event):
                self.matched += 1
                view = group.view
                verdict = decide(view, event)
                if verdict is Verdict.NOTHING:
                    continue
                known = verdict is not Verdict.RESYNC
                text = message(view.channel, view.projection, event, verdict) if known else None
                outs.setdefault(group, []).append(Out(place, event.xid, text))
        return outs

    def _lower_floors(self) -> None:
        for subscription in list(self._floored):
            if all(self._reached(subscription, floor) for floor in subscription.floors):
                self._unfloor(subscription)
                self._mingle(subscription)
                if not subscription.subscriber.floored:
                    self.heartbeat([subscription.subscriber])

    # Checkpoints and news for everybody

    def checkpoint_for(self, subscriber: Subscriber) -> bytes | None:
        """The checkpoint that may be sent to ``subscriber`` now, or None.

        A new one covers everything the subscriber was sent, for with it clients let go of the ids they have seen. So
        there is none while anything of it is on hold, or what was fetched showed more than has been published; while a
        large commit streams for one of its channels it is the last one it had. Nor is there one before it subscribes: a
        client about to resume would take it for its own, and miss what it missed.
        """
        if not subscriber.subscriptions or subscriber.holds or subscriber.floored or self.position is None:
            return None
        if self._lagging and subscriber.depends_on(self._lagging):
            return subscriber.last
        subscriber.last = self.position.checkpoint
        return subscriber.last

    def heartbeat(self, subscribers: Iterable[Subscriber], *, alive: bytes | None = None) -> None:
        """Give each of ``subscribers`` its checkpoint if it may have one, else ``alive``."""
        bundles: dict[bytes, Bundle] = {}
        for subscriber in subscribers:
            frame = self.checkpoint_for(subscriber) or (alive if subscriber.subscriptions else None)
            if frame is not None:
                bundle = bundles.get(frame) or bundles.setdefault(frame, Bundle((frame,)))
                if not subscriber.outlet.offer(bundle):
                    self.detach(subscriber)

    def capture_status(self, frame: bytes, *, degraded: datetime | None = None) -> None:
        """Tell everybody. ``degraded``: from then on some table is not captured whole; no later moment is told."""
        self._degraded = degraded
        bundle = Bundle((frame,))
        for subscriber in self.subscribers:
            if not subscriber.outlet.offer(bundle):
                self.detach(subscriber)

    # When the ground moves

    def interrupted(self) -> None:
        """The sessions to the database were lost, perhaps with the server.

        A crashed Postgres gives ids out again, so floors may not be trusted, nor snapshots on their way. And a large
        commit that was streaming comes again, in other parts and so folded otherwise.
        """
        self.turn += 1
        if self.position is not None:
            self.position = self.position.outlived()
        delivery = Delivery(self.hold, self._held_events)
        for group in self._rooms.groups():
            for subscription in group.members():
                parts = group.view.channel.coalesce and group.view.channel.source in self._lagging
                if parts or subscription.held is not None or subscription.floors:
                    delivery.void_one(subscription, "reconnected", None)
        delivery.announce()

    def reconfigure(self, channels: Mapping[str, Channel]) -> None:
        """Go on with other channels. Subscriptions to one that is gone or different stay on hold till they are left."""
        for room, subscription in self._rooms.replace(channels):
            self.hold(subscription)
            room.dismiss(subscription)
        self._ring.clear()

    # Resuming

    def replay(self, view: View, cursor: Cursor) -> list[bytes] | None:
        """What ``view`` missed since ``cursor``, up to all that was published; None if memory cannot tell."""
        if self.position is None or not self._lagging.isdisjoint(view.sources):
            return None
        return recall(self._ring, self.position, view, cursor)

    def render(self, view: View, prepared: Prepared) -> Iterator[bytes | None]:
        """The message that ``view`` gets of each event of ``prepared``, or None: a replay from SQL, made as it is read.

        Raises ResumeRefused if something among it cannot be told as messages: TRUNCATE, a changed scope.
        """
        return retell(view, prepared)
