"""The hub among overlapping transactions, lagging commits, changing scopes, and clients that come and go."""

from __future__ import annotations

import random

import pytest

from tests.support.ledger import Database
from tests.support.step import take_step
from tests.support.world import Client, Relay, some_view


def play(seed: int, *, steps: int, coalesce: bool, faults: bool = False) -> list[Client]:
    """Random work of writers, relay and clients until all is quiet again. Returns the clients, all live."""
    dice = random.Random(seed)
    database = Database(dice, faults=faults)
    relay = Relay(database, coalesce=coalesce)
    clients = [Client(relay, *some_view(dice, relay.channel)) for _ in range(6)]
    for _ in range(steps):
        take_step(dice, database, relay, clients, weights=(3, 12, 3, 1, 6, 2, 3, 6, 6), lag=0.1, leave=0.3)
    while database.open:
        database.end()
    relay.poll()
    while relay.late:
        relay.catch_up()
    relay.poll()
    for client in clients:
        if client.subscriber is None:
            client.connect()
        while client.waiting or (faults and client.doubtful):
            if not client.waiting:
                client.start_over()
            if client.fetched is None:
                client.fetch()
            client.go_live()
    return clients


@pytest.mark.parametrize("coalesce", [False, True])
@pytest.mark.parametrize("block", range(3))
def test_every_client_ends_with_exactly_its_rows(block: int, coalesce: bool) -> None:
    """After any history, each client's list equals what its policy and filter match in the database.

    On the way no event comes twice on one connection, whatever was replayed, held or shown in a snapshot.
    """
    for seed in range(block * 15, block * 15 + 15):
        for number, client in enumerate(play(seed, steps=250, coalesce=coalesce)):
            assert client.actual() == client.expected(), f"seed {seed}, client {number}, {client.view}"


@pytest.mark.parametrize("block", range(2))
def test_failing_look_ups_and_lost_images_leave_nothing_stale_unsaid(block: int) -> None:
    """Where rows were not captured or could not be looked up, a scoped client is exact all the same.

    A client without a scope is exact once it has asked anew after ``withheld``.
    """
    for seed in range(block * 10, block * 10 + 10):
        for number, client in enumerate(play(seed, steps=250, coalesce=True, faults=True)):
            assert client.actual() == client.expected(), f"seed {seed}, client {number}, {client.view}"
