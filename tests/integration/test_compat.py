"""The dashboards that existed before the relay, each on its own path, against a real relay."""

from __future__ import annotations

import pytest
from websockets.exceptions import InvalidStatus

from relay.messages.compat import TYPES
from tests.support.client import Client, connected
from tests.support.database import Database
from tests.support.payments import move, pay, student
from tests.support.relay import OWNER, RunningRelay, running_relay, settings_for


def url(running: RunningRelay, path: str, token: str) -> str:
    """As those pages build it: the token in the query, as it is."""
    return f"ws://127.0.0.1:{running.daemon.port}/ws/admin/{path}/?token={token}"


def story(client: Client) -> list[tuple[str, str]]:
    """Payments and actions, as the page's list hears of them."""
    return [
        (frame["data"]["transaction"]["id"], frame["data"]["action"])
        for frame in client.of("transaction_update")
    ]


async def test_a_page_that_says_nothing_is_filled_and_kept_up_to_date(
    database: Database, running: RunningRelay
) -> None:
    """On the transactions path rows come as ordinary messages, oldest first, then changes; nothing else comes."""
    user = await student(database)
    old, new = await pay(database, user, "10.00"), await pay(database, user, "20.00")
    await running.settle()
    async with connected(url(running, "transactions", running.token())) as client:
        for _ in range(4):
            await client.take("transaction_update")
        await move(database, old, "completed")
        await client.take("transaction_update")
        await database.execute("DELETE FROM finances_purchasetransaction WHERE id = %s", new)
        third = await pay(database, user, "30.00")
        last = await client.take("transaction_update")
        assert story(client) == [
            (str(old), "created"),
            (str(old), "updated"),
            (str(new), "created"),
            (str(new), "updated"),
            (str(old), "status_changed"),
            (str(third), "created"),
        ]
        assert set(last) == {"type", "data", "timestamp"}
        assert {frame["type"] for frame in client.frames} == {"transaction_update"}
        assert last["data"]["transaction"]["amount"] == "30.00"
        assert last["data"]["transaction"]["payment_intent_id"] == ""


async def test_a_page_that_asks_for_everything_gets_what_it_may_see(
    database: Database, running: RunningRelay
) -> None:
    """Channels that are not granted, or do not exist, are skipped without a word."""
    payment = await pay(database, await student(database, school=1))
    await running.settle()
    async with connected(url(running, "payments", running.token(OWNER))) as client:
        everything = ["metrics", "transactions", "webhooks", "fraud_alerts", "disputes"]
        await client.send("subscribe", channels=everything)
        await client.take("transaction_update")
        await client.take("transaction_update")
        await move(database, payment, "failed")
        await client.take("transaction_update")
        assert {frame["type"] for frame in client.frames} <= {*TYPES}
        assert [action for _, action in story(client)] == ["created", "updated", "status_changed"]


async def test_webhook_events_come_live_only(database: Database, running: RunningRelay) -> None:
    """A page that reconnects is not sent old webhook events again; a new one is the event itself."""
    event = (
        "INSERT INTO finances_webhookeventlog (stripe_event_id, event_type, status, payload, error_message,"
        " retry_count, created_at, updated_at) VALUES (%s, 'charge.refunded', 'received', '{}', '', 0, now(), now())"
    )
    await database.execute(event, "evt_old")
    await running.settle()
    async with connected(url(running, "webhooks", running.token())) as client:
        await client.send("ping")
        await running.settle()
        await running.daemon.services.capture.poll_now()
        await database.execute(event, "evt_new")
        frame = await client.take("webhook_event")
        assert frame["data"]["event_id"] == "evt_new"
        assert len(client.of("webhook_event")) == 1


async def test_a_page_that_reconnects_in_a_loop_is_stopped_before_the_upgrade(database: Database) -> None:
    """Past the limit the handshake is refused with 429 and a pause; the same person's other pages go on."""
    settings = settings_for(database.daemon_dsn, limits={"connects_per_minute_per_subject": 5})
    async with running_relay(settings) as running:
        token = running.token()
        for _ in range(5):
            async with connected(url(running, "payments", token)):
                pass
        with pytest.raises(InvalidStatus) as refused:
            async with connected(url(running, "payments", token)):
                pass
        assert refused.value.response.status_code == 429
        assert int(refused.value.response.headers["Retry-After"]) >= 1
        async with connected(url(running, "transactions", token)), connected(running.url, token) as client:
            await client.take("welcome")


async def test_a_bad_token_is_told_and_closed_with_4001(running: RunningRelay) -> None:
    """A browser page with an expired token gets an error it can show before the close."""
    token = running.token(seconds=-60)
    async with connected(url(running, "payments", token), origin=running.http) as client:
        assert await client.closed() == 4001
        assert [frame["code"] for frame in client.frames] == ["token_expired"]


async def test_a_mask_that_takes_a_text_away_leaves_an_empty_one(
    database: Database, running: RunningRelay
) -> None:
    """A payment intent too short to be masked, and an address that is none, are empty texts, in the fill and live."""
    user = await student(database, "no address", school=1)
    await pay(database, user, stripe_payment_intent_id="pi_1")
    await running.settle()
    async with connected(url(running, "transactions", running.token(OWNER))) as client:
        await client.take("transaction_update")
        await client.take("transaction_update")
        await pay(database, user, stripe_payment_intent_id="pi_2")
        await client.take("transaction_update")
        for frame in client.of("transaction_update"):
            row = frame["data"]["transaction"]
            assert (row["payment_intent_id"], row["customer_email"]) == ("", "")
