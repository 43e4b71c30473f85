"""The groups of each channel, and which of them an event concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from relay.routing.channel import Channel
from relay.routing.event import PreparedEvent
from relay.routing.groups import Group, Subscriber, Subscription
from relay.routing.index import Index
from relay.routing.view import View

__all__ = ["Room", "Rooms"]


class Room:
    """All groups of one channel. ``mapping`` is the channel's fingerprint."""

    def __init__(self, channel: Channel) -> None:
        self.mapping = channel.fingerprint
        self.groups: dict[View, Group] = {}
        self._index: Index[Group] = Index()

    def admit(self, subscriber: Subscriber, view: View) -> Subscription:
        """A new subscription, on hold."""
        group = self.groups.get(view)
        if group is None:
            group = self.groups[view] = Group(view)
            self._index.add(group, view)
        subscription = Subscription(subscriber, view, group)
        group.apart[subscription] = None
        return subscription

    def dismiss(self, subscription: Subscription) -> None:
        """Take a subscription out of its group, and the group away with its last."""
        group = subscription.group
        if group is None:
            return
        group.live.pop(subscription, None)
        group.apart.pop(subscription, None)
        subscription.group = None
        if not len(group):
            del self.groups[group.view]
            self._index.remove(group, group.view)

    def concerned(self, event: PreparedEvent) -> Iterable[Group]:
        """The groups that have to be asked about ``event``."""
        if event.fault or (event.old is None and event.op != "insert"):
            # Without the rows nothing can be looked up; such events are rare.
            return self.groups.values()
        return self._index.candidates(event.new, event.old)


class Rooms:
    """The rooms of all channels, by name."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._rooms = {name: Room(channel) for name, channel in channels.items()}

    def __getitem__(self, channel: str) -> Room:
        return self._rooms[channel]

    def get(self, channel: str) -> Room | None:
        """The room of a channel, if there is one."""
        return self._rooms.get(channel)

    def groups(self) -> list[Group]:
        """All groups there are."""
        return [group for room in self._rooms.values() for group in room.groups.values()]

    def replace(self, channels: Mapping[str, Channel]) -> Iterator[tuple[Room, Subscription]]:
        """Go on with ``channels``; gives the subscriptions of rooms whose channel is gone or different."""
        kept = {
            name: room
            for name, room in self._rooms.items()
            if name in channels and channels[name].fingerprint == room.mapping
        }
        gone = [room for name, room in self._rooms.items() if name not in kept]
        self._rooms = {name: kept.get(name) or Room(channel) for name, channel in channels.items()}
        for room in gone:
            for group in list(room.groups.values()):
                for subscription in group.members():
                    yield room, subscription
