"""One random step of a world: a writer, a relay or some clients do something."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.support.ledger import Database
from tests.support.world import Client, Relay

__all__ = ["take_step"]


def take_step(
    dice: random.Random,
    database: Database,
    relay: Relay,
    clients: Sequence[Client],
    *,
    weights: Sequence[int],
    lag: float,
    leave: float,
) -> None:
    """``weights`` of: begin, write, commit, roll back, poll, catch up, come or go, fetch, go live.

    ``lag`` and ``leave``: how likely a poll finds a large commit, and a client that is connected goes.
    """
    match dice.choices(range(9), weights=weights)[0]:
        case 0 if len(database.open) < 4:
            database.begin()
        case 1:
            database.write()
        case 2:
            database.end()
        case 3:
            database.end(commit=False)
        case 4:
            relay.poll(lag=dice.random() < lag)
        case 5:
            relay.catch_up()
        case 6:
            client = dice.choice(clients)
            if client.subscriber is None:
                client.connect()
            elif dice.random() < leave:
                client.disconnect()
        case 7:
            for client in clients:
                if client.waiting and client.fetched is None and dice.random() < 0.7:
                    client.fetch()
        case _:
            for client in clients:
                if client.waiting and dice.random() < 0.7:
                    client.go_live()
    if dice.random() < 0.1:
        relay.hub.heartbeat(relay.hub.subscribers)
