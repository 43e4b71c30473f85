"""The aggregates that one connection watches. They take no filter, no snapshot and no cursor: what comes is whole
first, and then what changed.

Checkpoints do not speak for them, and they hold none back: a client that resumes is simply shown everything again.
"""

from __future__ import annotations

from collections.abc import Iterable

from relay.gateway.peer import Peer
from relay.gateway.services import Services
from relay.messages.frames import SubscribedChannel
from relay.routing.aggregates.room import Room

__all__ = ["Watching"]


class Watching:
    """What one connection watches. All calls return at once."""

    def __init__(self, peer: Peer, services: Services) -> None:
        self._peer = peer
        self._services = services
        self._rooms: dict[str, Room] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def __contains__(self, name: object) -> bool:
        return name in self._rooms

    def granted(self, name: str) -> bool:
        """Whether ``name`` is an aggregate that this connection may watch."""
        return name in self._services.aggregates and name in self._peer.grants.channels

    def describe(self, names: Iterable[str]) -> dict[str, SubscribedChannel]:
        """What ``subscribed`` says about them."""
        return {
            name: SubscribedChannel(
                filter={}, view=self._services.aggregates[name].aggregate.view, resumed=False, replayed=0
            )
            for name in names
        }

    def join(self, names: Iterable[str]) -> None:
        """Watch, or watch again, and show each whole."""
        for name in names:
            room = self._rooms[name] = self._services.aggregates[name]
            room.leave(self._peer)
            if not room.join(self._peer):
                self._services.aggregates.on_owed()

    def leave(self, name: str) -> None:
        """Watch no more."""
        self._rooms.pop(name).leave(self._peer)

    def lost(self) -> dict[str, str]:
        """What is watched and may not be any more: name -> reason."""
        return {
            name: "not_granted" if name in self._services.aggregates else "removed"
            for name in self._rooms
            if not self.granted(name)
        }

    def replaced(self) -> list[str]:
        """What is watched and means something else since a reload."""
        return [name for name, room in self._rooms.items() if self._services.aggregates.get(name) is not room]

    def close(self) -> None:
        """Watch nothing any more."""
        for name in list(self._rooms):
            self.leave(name)
