"""Rights that change while something is being fetched: nothing that was read under the old ones is sent any more."""

from __future__ import annotations

import pytest

from relay.gateway.connection import Connection
from relay.gateway.websocket import WebSocket
from tests.support.client import Client, connected
from tests.support.database import Database
from tests.support.payments import pay, student
from tests.support.relay import ADMIN, OWNER, RunningRelay
from tests.support.turnstile import Turnstile

CHANNEL = "transactions"


async def log_webhook(database: Database, number: int) -> None:
    """One webhook event."""
    await database.execute(
        "INSERT INTO finances_webhookeventlog (stripe_event_id, event_type, payload, status, retry_count,"
        " error_message, created_at, updated_at) VALUES (%s, 'charge.failed', '{}', 'received', 0, '', now(), now())",
        f"evt_{number}",
    )


async def two_schools(database: Database) -> tuple[str, str]:
    """A payment of the owner's school and one of another; their ids."""
    ours = await pay(database, await student(database, "ours@example.com", school=1))
    theirs = await pay(database, await student(database, "theirs@example.com", school=2))
    return str(ours), str(theirs)


async def narrowed(client: Client, running: RunningRelay) -> None:
    """Refresh with the token of somebody who may see one school only, and wait until that counts."""
    await client.send("auth", token=running.token(OWNER))
    await client.take("welcome")
    await client.send("ping", id="narrowed")
    await client.take("pong")


async def test_a_snapshot_read_under_wider_rights_is_not_sent(
    database: Database, running: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were being read when the scope narrowed stay here; the snapshot that is sent is of the new scope."""
    ours, _ = await two_schools(database)
    stile = Turnstile(monkeypatch, running.daemon.services.capture, "rows")
    async with connected(running.url, running.token(ADMIN)) as client:
        await client.send("subscribe", channels=[CHANNEL], snapshot=10)
        await stile.arrived.wait()
        await narrowed(client, running)
        stile.open()
        await client.take("checkpoint")
        (snapshot,) = client.of("snapshot")
        assert [row["id"] for row in snapshot["rows"]] == [ours]


async def test_a_snapshot_of_a_lost_channel_is_not_sent(
    database: Database, running: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ``unsubscribed`` nothing of the channel comes, not even what was already read for it."""
    await log_webhook(database, 1)
    stile = Turnstile(monkeypatch, running.daemon.services.capture, "rows")
    async with connected(running.url, running.token(ADMIN)) as client:
        await client.send("subscribe", channels=["webhooks"], snapshot=10)
        await stile.arrived.wait()
        await narrowed(client, running)
        stile.open()
        await client.send("subscribe", channels=[CHANNEL], snapshot=10)
        await client.take("checkpoint")
        assert [frame["channel"] for frame in client.of("snapshot")] == [CHANNEL]


async def test_replays_read_under_wider_rights_are_not_sent(
    database: Database, running: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several channels that are resumed, those whose turn comes after the rights narrowed are not replayed."""
    channels = ["disputes", CHANNEL, "webhooks"]
    async with connected(running.url, running.token(ADMIN)) as client:
        await client.send("subscribe", channels=channels)
        taken = (await client.take("subscribed"))["channels"]
        cursor = (await client.take("checkpoint"))["cursor"]
    ours, theirs = await two_schools(database)
    await log_webhook(database, 1)
    await running.settle()
    stile = Turnstile(monkeypatch, Connection, "send_all")
    async with connected(running.url, running.token(ADMIN)) as client:
        views = {name: each["view"] for name, each in taken.items()}
        await client.send("subscribe", channels=channels, since=cursor, views=views)
        await stile.arrived.wait()
        await narrowed(client, running)
        before = len(client.frames)
        stile.open()
        await client.take("checkpoint")
        told = [(frame["type"], frame.get("channel")) for frame in client.frames[before:]]
        assert ("webhook_event", "webhooks") not in told
        shown = {
            frame["data"]["transaction"]["id"]
            for frame in client.frames
            if frame["type"] == "transaction_update"
        }
        assert theirs not in shown
        assert ours in {row["id"] for frame in client.of("snapshot") for row in frame["rows"]}


async def test_a_replay_stops_in_the_middle_when_rights_narrow(
    database: Database, running: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long replay goes out in pieces, and none goes out after the channel was lost."""
    async with connected(running.url, running.token(ADMIN)) as client:
        await client.send("subscribe", channels=["webhooks"])
        taken = (await client.take("subscribed"))["channels"]
        cursor = (await client.take("checkpoint"))["cursor"]
    for number in range(20):
        await log_webhook(database, number)
    await running.settle()
    monkeypatch.setattr("relay.gateway.connection.SLICE", 1)
    async with connected(running.url, running.token(ADMIN)) as client:
        stile = Turnstile(monkeypatch, WebSocket, "drain")
        await client.send(
            "subscribe", channels=["webhooks"], since=cursor, views={"webhooks": taken["webhooks"]["view"]}
        )
        await stile.arrived.wait()
        await narrowed(client, running)
        before = len(client.of("webhook_event"))
        stile.open()
        await client.send("subscribe", channels=[CHANNEL])
        await client.take("checkpoint")
        assert len(client.of("webhook_event")) == before < 20
