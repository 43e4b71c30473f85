"""One batch on its way out: who must start over, who keeps messages back, and whose bundle holds what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from relay.routing.groups import Group, Subscriber, Subscription
from relay.routing.outlet import Bundle
from relay.routing.position import Position

__all__ = ["Delivery", "Out"]


class Out(NamedTuple):
    """One message to a group: the event's place in the batch, its transaction, the bytes.

    None for bytes: only a snapshot that shows the transaction can tell this group of it.
    """

    place: int
    xid: int
    message: bytes | None


class Delivery:
    """The receiving half of :meth:`Hub.publish`. ``hold`` is the hub's: it puts a subscription on hold."""

    def __init__(self, hold: Callable[[Subscription], None], held_events: int) -> None:
        self._hold = hold
        self._held_events = held_events
        self._news: dict[Subscriber, tuple[set[str], str]] = {}

    def void(self, group: Group, reason: str, xid: int | None) -> None:
        """What the group's subscribers have is void, because of what ``xid`` did (None: whatever they were sent)."""
        for subscription in group.members():
            self.void_one(subscription, reason, xid)

    def void_one(self, subscription: Subscription, reason: str, xid: int | None) -> None:
        """What one subscription has is void, unless it was fetched after ``xid`` and shows what that did."""
        if subscription.held is not None:
            # A snapshot or replay is on its way already. If it shows the transaction, all is well.
            if xid is None:
                subscription.spoil()
                subscription.subscriber.last = None
            else:
                subscription.keep(xid, None, self._held_events)
        elif xid is None or not subscription.seen(xid):
            self._hold(subscription)
            subscriber = subscription.subscriber
            # Its last checkpoint spoke of what is void now.
            subscriber.last = None
            self._news.setdefault(subscriber, (set(), reason))[0].add(subscription.view.channel.name)

    def announce(self) -> None:
        """Tell every subscriber with something void, once each."""
        for subscriber, (channels, reason) in self._news.items():
            subscriber.outlet.resync(frozenset(channels), reason)

    def distribute(
        self, outs: Mapping[Group, list[Out]], position: Position | None, lagging: frozenset[str]
    ) -> list[Subscriber]:
        """Send every live subscriber its messages, those on hold keep theirs. Returns the subscribers that are full.

        ``position`` (None: in the middle of a large commit) goes along to whoever it is true for.
        """
        bundles: dict[tuple[object, ...], Bundle] = {}
        full = []
        for subscriber, lists in self._owed(outs).items():
            frame = None
            true = not (
                subscriber.holds or subscriber.floored or (lagging and subscriber.depends_on(lagging))
            )
            if position is not None and true:
                frame = subscriber.last = position.checkpoint
            key = (frame is None, *map(id, lists))
            bundle = bundles.get(key)
            if bundle is None:
                bundle = bundles[key] = Bundle(_merge(lists, frame))
            if not subscriber.outlet.offer(bundle):
                full.append(subscriber)
        return full

    def _owed(self, outs: Mapping[Group, list[Out]]) -> dict[Subscriber, list[list[Out]]]:
        owed: dict[Subscriber, list[list[Out]]] = {}
        for group, messages in outs.items():
            for subscription in group.live:
                owed.setdefault(subscription.subscriber, []).append(messages)
            for subscription in group.apart:
                if subscription.held is not None:
                    for out in messages:
                        if out.message is not None:
                            subscription.keep(out.xid, out.message, self._held_events)
                    continue
                unseen = [out for out in messages if not subscription.seen(out.xid)]
                if unseen:
                    same = len(unseen) == len(messages)
                    owed.setdefault(subscription.subscriber, []).append(messages if same else unseen)
        return owed


def _merge(lists: Sequence[list[Out]], checkpoint: bytes | None) -> list[bytes]:
    # A subscriber has one subscription per channel, so no event is in two lists.
    outs = lists[0] if len(lists) == 1 else sorted(out for messages in lists for out in messages)
    merged = [out.message for out in outs if out.message is not None]
    return merged if checkpoint is None else [*merged, checkpoint]
