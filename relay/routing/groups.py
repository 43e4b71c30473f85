"""Subscribers, their subscriptions, and the groups of subscriptions whose views are equal."""

from __future__ import annotations

from relay.capture.snapshot import Snapshot
from relay.routing.outlet import Outlet
from relay.routing.view import View

__all__ = ["Group", "Subscriber", "Subscription"]


class Subscriber:
    """One connection as the hub knows it. ``holds`` counts its subscriptions on hold, ``floored`` those that were sent
    more than has been published; ``last`` is the checkpoint it was given last, None if none, or none that still
    holds."""

    __slots__ = ("floored", "holds", "last", "outlet", "subscriptions")

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.subscriptions: dict[str, Subscription] = {}
        self.holds = 0
        self.floored = 0
        self.last: bytes | None = None

    def depends_on(self, sources: frozenset[str]) -> bool:
        """Whether any of its subscriptions shows what one of ``sources`` brings."""
        return any(not sources.isdisjoint(each.view.sources) for each in self.subscriptions.values())


class Subscription:
    """One channel on one connection.

    On hold, ``held`` collects what would have been sent, as (xid, message); a None for a message stands for an event
    that only a snapshot showing it can answer. ``overflowed`` means that what is held is not whole, whatever the
    snapshot shows. Live, ``held`` is None, and events that one of ``floors`` sees have been sent already.
    """

    __slots__ = ("floors", "group", "held", "overflowed", "subscriber", "view")

    def __init__(self, subscriber: Subscriber, view: View, group: Group) -> None:
        self.subscriber = subscriber
        self.view = view
        self.group: Group | None = group
        self.held: list[tuple[int, bytes | None]] | None = []
        self.overflowed = False
        self.floors: tuple[Snapshot, ...] = ()

    @property
    def gone(self) -> bool:
        """Whether it was replaced, left, or made void by a reload: nothing will come of it any more."""
        return self.group is None

    def seen(self, xid: int) -> bool:
        """Whether what ``xid`` wrote has been sent already, in a snapshot or replay."""
        return any(floor.sees(xid) for floor in self.floors)

    def keep(self, xid: int, message: bytes | None, limit: int) -> None:
        """Hold one message back. Past ``limit`` all are dropped: the snapshot has to be taken again."""
        if self.overflowed or self.held is None:
            return
        if len(self.held) >= limit:
            self.spoil()
        else:
            self.held.append((xid, message))

    def drain(self, floors: tuple[Snapshot, ...]) -> list[bytes] | None:
        """The held messages that none of ``floors`` shows, in order; None if what is held is not whole."""
        held = [message for xid, message in self.held or () if not any(floor.sees(xid) for floor in floors)]
        messages = [message for message in held if message is not None]
        return None if self.overflowed or len(messages) < len(held) else messages

    def spoil(self) -> None:
        """What is held is not whole any more."""
        self.overflowed = True
        self.held = []


class Group:
    """Subscriptions with one view. ``live`` ones all get the same; ``apart`` are those on hold or with floors."""

    __slots__ = ("apart", "live", "view")

    def __init__(self, view: View) -> None:
        self.view = view
        self.live: dict[Subscription, None] = {}
        self.apart: dict[Subscription, None] = {}

    def members(self) -> list[Subscription]:
        """All of them."""
        return [*self.live, *self.apart]

    def __len__(self) -> int:
        return len(self.live) + len(self.apart)
