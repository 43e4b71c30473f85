"""Subscribing: the seam between what is fetched and what is live, and what a request may change."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.client import Client, connected
from tests.support.database import Database
from tests.support.payments import move, pay, student
from tests.support.relay import RunningRelay, running_relay, settings_for
from tests.support.turnstile import Turnstile


def ids(frame: dict[str, Any]) -> list[str]:
    """The row ids of a snapshot."""
    return [row["id"] for row in frame["rows"]]


async def told(client: Client, payment: int) -> dict[str, Any]:
    """The next update about ``payment``."""
    return await client.take(
        "transaction_update", where=lambda frame: frame["data"]["transaction"]["id"] == str(payment)
    )


async def test_snapshot_then_stream_then_checkpoint(database: Database, running: RunningRelay) -> None:
    """A subscribe is answered by subscribed, the rows as they are, and a checkpoint; then changes follow."""
    first = await pay(database, await student(database), "150.00", "completed")
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions"], snapshot=10, id="s1")
        subscribed = await client.take("subscribed")
        assert subscribed["id"] == "s1"
        assert subscribed["channels"]["transactions"]["resumed"] is False
        snapshot = await client.take("snapshot")
        assert ids(snapshot) == [str(first)]
        assert snapshot["rows"][0]["amount"] == "150.00"
        assert snapshot["rows"][0]["status"] == "succeeded"
        assert snapshot["truncated"] is False
        await client.take("checkpoint")
        await move(database, first, "refunded")
        update = await told(client, first)
        assert update["data"]["action"] == "status_changed"
        assert update["data"]["previous_status"] == "succeeded"
        assert update["data"]["changed"] == ["status", "status_display"]


async def test_a_snapshot_says_that_more_rows_match(database: Database, running: RunningRelay) -> None:
    """A snapshot smaller than what matches is marked truncated, newest first as the channel's order says."""
    user = await student(database)
    payments = [await pay(database, user) for _ in range(3)]
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions"], snapshot=2)
        snapshot = await client.take("snapshot")
        assert ids(snapshot) == [str(payments[2]), str(payments[1])]
        assert snapshot["truncated"] is True


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_is_committed_while_the_snapshot_is_fetched_comes_exactly_once(
    database: Database, running: RunningRelay, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """A payment committed before the snapshot is read is in it and not told again; one committed after it is told."""
    user = await student(database)
    stile = Turnstile(monkeypatch, running.daemon.services.capture, "rows", when=when)
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions"], snapshot=10)
        await stile.arrived.wait()
        during = await pay(database, user)
        await running.settle()
        stile.open()
        snapshot = await client.take("snapshot")
        await client.take("checkpoint")
        after = await pay(database, user)
        await told(client, after)
        events = [frame["data"]["transaction"]["id"] for frame in client.of("transaction_update")]
        if when == "before":
            assert ids(snapshot) == [str(during)]
            assert events == [str(after)]
        else:
            assert ids(snapshot) == []
            assert events == [str(during), str(after)]


async def test_an_event_the_snapshot_shows_is_dropped_even_when_it_is_polled_later(
    database: Database, running: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that the snapshot shows is not told again by a poll that only comes after the subscription went live."""
    user = await student(database)
    services = running.daemon.services
    await services.capture.poll_now()
    publish, released = services.hub.publish, asyncio.Event()
    waiting: list[tuple[Any, Any]] = []

    def hold_back(prepared: Any, batch: Any) -> None:
        if released.is_set():
            publish(prepared, batch)
        else:
            waiting.append((prepared, batch))

    monkeypatch.setattr(services.hub, "publish", hold_back)
    async with connected(running.url, running.token()) as client:
        shown = await pay(database, user)
        await client.send("subscribe", channels=["transactions"], snapshot=10)
        assert ids(await client.take("snapshot")) == [str(shown)]
        for prepared, batch in waiting:
            publish(prepared, batch)
        released.set()
        after = await pay(database, user)
        await told(client, after)
        events = [frame["data"]["transaction"]["id"] for frame in client.of("transaction_update")]
        assert events == [str(after)]


async def test_no_checkpoint_leaves_while_a_snapshot_is_unfinished(
    database: Database, running: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events of a live channel go on during another's snapshot, but no checkpoint does, with a batch or a heartbeat."""
    user = await student(database)
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions"])
        await client.take("checkpoint")
        stile = Turnstile(monkeypatch, running.daemon.services.capture, "rows")
        await client.send("subscribe", channels=["disputes"], snapshot=10)
        await stile.arrived.wait()
        await told(client, await pay(database, user))
        before = len(client.of("checkpoint"))
        for _ in range(3):
            await running.settle()
            running.daemon.services.hub.heartbeat(running.daemon.services.hub.subscribers)
        await client.send("ping", id=1)
        await client.take("pong")
        assert len(client.of("checkpoint")) == before
        stile.open()
        await client.take("snapshot")
        await client.take("checkpoint")


async def test_overflowing_events_make_the_snapshot_be_taken_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More live events than may be held during a snapshot are discarded, and a newer snapshot shows their rows."""
    settings = settings_for(database.daemon_dsn, limits={"held_events": 3})
    user = await student(database)
    async with running_relay(settings) as running, connected(running.url, running.token()) as client:
        stile = Turnstile(monkeypatch, running.daemon.services.capture, "rows")
        await client.send("subscribe", channels=["transactions"], snapshot=50)
        await stile.arrived.wait()
        payments = [await pay(database, user) for _ in range(6)]
        await running.settle()
        stile.open()
        last = await client.take("snapshot", where=lambda frame: bool(frame["rows"]))
        assert sorted(map(int, ids(last))) == payments
        await client.take("checkpoint")
        snapshots = client.of("snapshot")
        resyncs = client.of("resync")
        assert len(resyncs) >= len(snapshots) - 1, "a second snapshot without a resync would leave old rows"
        assert client.of("transaction_update") == []


async def test_a_refused_filter_keeps_the_old_subscription_and_spares_the_others(
    database: Database, running: RunningRelay
) -> None:
    """One bad filter in a request is an error that names its field; the channel keeps its filter, the rest goes on."""
    user = await student(database)
    async with connected(running.url, running.token()) as client:
        await client.send(
            "subscribe", channels=["transactions"], filters={"transactions": {"status": "failed"}}
        )
        await client.take("checkpoint")
        await client.send(
            "subscribe",
            channels=["transactions", "webhooks"],
            filters={"transactions": {"colour": "red"}},
            id=7,
        )
        error = await client.take("error")
        assert (error["code"], error["id"], error["channel"]) == ("filter_refused", 7, "transactions")
        assert "colour" in error["message"]
        assert list((await client.take("subscribed"))["channels"]) == ["webhooks"]
        await pay(database, user, status="pending")
        failed = await pay(database, user, status="failed")
        update = await client.take("transaction_update")
        assert update["data"]["transaction"]["id"] == str(failed)


async def test_a_hidden_field_cannot_be_guessed_by_filter(running: RunningRelay) -> None:
    """A filter on a hidden field is refused in the same words as one on a field that does not exist."""
    async with connected(running.url, running.token()) as client:
        answers = []
        for name in ("school_ids", "no_such_field"):
            await client.send("subscribe", channels=["transactions"], filters={"transactions": {name: 1}})
            answers.append((await client.take("error"))["message"].replace(name, "FIELD"))
        assert answers[0] == answers[1]


async def test_subscribed_is_the_boundary_between_two_filters(
    database: Database, running: RunningRelay
) -> None:
    """After a resubscribe all before ``subscribed`` passed the old filter, and all after it the new one."""
    user = await student(database)
    async with connected(running.url, running.token()) as client:
        await client.send(
            "subscribe", channels=["transactions"], filters={"transactions": {"status": "failed"}}
        )
        await client.take("checkpoint")
        await told(client, await pay(database, user, status="failed"))
        await client.send(
            "subscribe", channels=["transactions"], filters={"transactions": {"status": "pending"}}, id=2
        )
        await client.take("subscribed", where=lambda frame: frame.get("id") == 2)
        await pay(database, user, status="failed")
        await told(client, await pay(database, user, status="pending"))
        statuses = {"before": set(), "after": set()}  # type: dict[str, set[str]]
        side = "before"
        for frame in client.frames:
            if frame["type"] == "subscribed" and frame.get("id") == 2:
                side = "after"
            if frame["type"] == "transaction_update":
                statuses[side].add(frame["data"]["transaction"]["status"])
        assert statuses == {"before": {"failed"}, "after": {"pending"}}


async def test_unsubscribing_ends_one_channel(database: Database, running: RunningRelay) -> None:
    """After ``unsubscribed`` nothing of that channel comes, others go on; a second unsubscribe is an error."""
    user = await student(database)
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions", "disputes"])
        await client.take("checkpoint")
        await client.send("unsubscribe", channels=["transactions"], id="u")
        gone = await client.take("unsubscribed")
        assert (gone["id"], gone["channels"], gone["reason"]) == ("u", ["transactions"], "requested")
        payment = await pay(database, user)
        await database.execute(
            "INSERT INTO finances_paymentdispute (stripe_dispute_id, purchase_transaction_id, amount, currency, reason,"
            " status, evidence_details, is_responded, internal_notes, stripe_metadata, created_at, updated_at)"
            " VALUES ('dp_1', %s, 5, 'eur', 'general', 'needs_response', '{}', false, '', '{}', now(), now())",
            payment,
        )
        await client.take("dispute_update")
        assert client.of("transaction_update") == []
        await client.send("unsubscribe", channels=["transactions"])
        assert (await client.take("error"))["code"] == "not_subscribed"


async def test_a_filter_for_a_channel_not_asked_for_is_refused(running: RunningRelay) -> None:
    """A filter that would apply to nothing is an error that names its channel; what was asked for is subscribed."""
    async with connected(running.url, running.token()) as client:
        stray = {"transaction": {"status": "failed"}, "x" * 200: {}}
        await client.send("subscribe", channels=["transactions"], filters=stray, id=3)
        for name in ("transaction", "x" * 64):
            error = await client.take("error")
            assert (error["code"], error["channel"], error["id"]) == ("filter_refused", name, 3)
            assert name in error["message"]
        assert (await client.take("subscribed"))["channels"]["transactions"]["filter"] == {}
        await client.send("subscribe", channels=["transactions"], filters={f"c{n}": {} for n in range(50)})
        await client.take("subscribed")
        assert len(client.of("error")) < 20
