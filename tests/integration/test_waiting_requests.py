"""Requests of one connection wait for their turn, up to a number; what the relay owes the client never counts."""

from __future__ import annotations

import pytest

from relay.gateway.turns import WAITING
from tests.support.client import Client, connected
from tests.support.database import Database
from tests.support.payments import pay, student
from tests.support.relay import RunningRelay
from tests.support.turnstile import Turnstile

CHANNEL = "transactions"


async def queued(client: Client, stile: Turnstile) -> None:
    """A client whose first request is being worked on, with as many behind it as may wait."""
    await client.send("subscribe", channels=["disputes"], snapshot=10)
    await stile.arrived.wait()
    for number in range(WAITING):
        await client.send("unsubscribe", channels=["webhooks"], id=number)
    await client.send("ping", id="queued")
    await client.take("pong")


async def test_requests_are_answered_in_the_order_they_came(
    running: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers leave in the order of the requests; one too many is refused at once and costs the others nothing."""
    stile = Turnstile(monkeypatch, running.daemon.services.capture, "rows")
    async with connected(running.url, running.token()) as client:
        await queued(client, stile)
        await client.send("subscribe", channels=[CHANNEL], id="late")
        busy = await client.take("error")
        assert (busy["code"], busy["id"]) == ("busy", "late")
        stile.open()
        await client.send("subscribe", channels=[CHANNEL], id="again")
        await client.take("subscribed", where=lambda frame: frame.get("id") == "again")
        answered = [frame["id"] for frame in client.of("error")]
        assert answered == ["late", *range(WAITING)]


async def test_a_resync_is_seen_to_however_much_waits(
    database: Database, running: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that has used up its turns still gets the snapshot that a resync promises, and checkpoints after it."""
    await pay(database, await student(database))
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[CHANNEL])
        await client.take("checkpoint")
        stile = Turnstile(monkeypatch, running.daemon.services.capture, "rows")
        await queued(client, stile)
        await database.execute("TRUNCATE finances_purchasetransaction CASCADE")
        assert CHANNEL in (await client.take("resync"))["channels"]
        stile.open()
        snapshot = await client.take("snapshot", where=lambda frame: frame["channel"] == CHANNEL)
        assert snapshot["rows"] == []
        await client.take("checkpoint")
