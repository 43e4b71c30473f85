"""Clients that go from one relay to another in the middle of anything, and drop what they know."""

from __future__ import annotations

import random
from collections.abc import Sequence

from relay import jsontext
from relay.capture.cursor import Cursor
from tests.support.ledger import Database
from tests.support.step import take_step
from tests.support.world import Client, Relay, some_view

__all__ = ["play"]


class Hopper(Client):
    """Comes back on any of ``relays``, with the ids it has seen since its last checkpoint."""

    def __init__(self, relays: Sequence[Relay], dice: random.Random) -> None:
        super().__init__(relays[0], *some_view(dice, relays[0].channel))
        self.relays = relays
        self.cursor = ""

    def resync(self, channels: frozenset[str], reason: str) -> None:
        super().resync(channels, reason)
        self.cursor = ""

    def apply(self, text: bytes) -> None:
        message = jsontext.decode(text)
        if message["type"] == "checkpoint":
            if message["cursor"] != self.cursor:
                self.ids.clear()
            self.cursor = message["cursor"]
            self.since = Cursor.decode(self.cursor)
        elif message.get("id") not in self.ids:
            super().apply(text)

    def connect(self) -> None:
        self.relay = self.relay.database.dice.choice(self.relays)
        known = set(self.ids)
        if self.since is not None:
            self.relay.poll()  # as a subscribe that brings a cursor does
        super().connect()
        if self.since is not None:
            self.ids = known

    def fetch(self) -> None:
        super().fetch()
        if self.fetched is not None and self.fetched[0] is not None:
            self.ids.clear()
            self.cursor = ""


def play(seed: int, *, steps: int, coalesce: bool) -> list[Hopper]:
    """Random work of writers, two relays and six clients until all is quiet again. Returns the clients, all live."""
    dice = random.Random(seed)
    database = Database(dice)
    relays = [Relay(database, coalesce=coalesce) for _ in range(2)]
    clients = [Hopper(relays, dice) for _ in range(6)]
    for _ in range(steps):
        relay = dice.choice(relays)
        take_step(dice, database, relay, clients, weights=(3, 16, 3, 1, 5, 4, 6, 6, 6), lag=0.4, leave=0.4)
    while database.open:
        database.end()
    for relay in relays:
        relay.poll()
        while relay.late:
            relay.catch_up()
        relay.poll()
    for client in clients:
        if client.subscriber is None:
            client.connect()
        while client.waiting:
            if client.fetched is None:
                client.fetch()
            client.go_live()
    return clients
