"""``/api/snapshot``: rows as they are now, for whoever may see them, with a cursor that misses nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay.gateway.snapshots import SnapshotDesk
from tests.support.client import connected
from tests.support.database import Database
from tests.support.payments import move, pay, student
from tests.support.polling import Answer, Poller, get, query
from tests.support.relay import OWNER, RunningRelay, running_relay, settings_for
from tests.support.turnstile import Turnstile
from tests.support.waiting import eventually

CHANNEL = "transactions"


async def snapshot(running: RunningRelay, token: str | None = None, **parameters: Any) -> Answer:
    """What ``/api/snapshot`` says, by default to somebody who may see everything."""
    return await get(f"{running.http}/api/snapshot?{query(**parameters)}", token or running.token())


async def test_rows_are_those_of_a_snapshot(database: Database, running: RunningRelay) -> None:
    """Filter, number and order of the rows, and what is said about them, are those of a WebSocket's snapshot."""
    user = await student(database)
    for status in ("failed", "pending", "failed", "failed"):
        await pay(database, user, status=status)
    asked = {CHANNEL: {"status": "failed"}}
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[CHANNEL], filters=asked, snapshot=2)
        described = (await client.take("subscribed"))["channels"][CHANNEL]
        expected = await client.take("snapshot")
    answer = await snapshot(running, channel=CHANNEL, filter=asked[CHANNEL], rows=2)
    assert answer.status == 200
    said = answer.body
    assert {name: said[name] for name in expected} == expected
    assert len(said["rows"]) == 2
    assert said["truncated"] is True
    assert (said["filter"], said["view"]) == (described["filter"], described["view"])


async def test_policies_hold(database: Database, running: RunningRelay) -> None:
    """A scope and masks apply, and a channel that is not granted does not exist."""
    ours = await pay(database, await student(database, "ours@example.com", school=1))
    await pay(database, await student(database, "theirs@example.com", school=2))
    answer = await snapshot(running, running.token(OWNER), channel=CHANNEL)
    assert [(row["id"], row["customer_email"]) for row in answer.body["rows"]] == [
        (str(ours), "***@example.com")
    ]
    refused = await snapshot(running, running.token(OWNER), channel="webhooks")
    assert (refused.status, refused.body["code"]) == (404, "unknown_channel")


async def test_a_refused_filter_is_a_status(running: RunningRelay) -> None:
    """What would be an error message is a status with that message; a masked field cannot be guessed here either."""
    for token, filter in (
        (None, {"colour": "red"}),
        (running.token(OWNER), {"customer_email": "a@example.com"}),
    ):
        answer = await snapshot(running, token, channel=CHANNEL, filter=filter)
        assert (answer.status, answer.body["code"]) == (400, "filter_refused")
        assert next(iter(filter)) in answer.body["message"]


async def test_its_cursor_misses_nothing(
    database: Database, running: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed while the rows are read is told to whoever goes on from the cursor."""
    user = await student(database)
    payment = await pay(database, user)
    stile = Turnstile(monkeypatch, running.daemon.services.capture, "rows", when="after")
    asking = asyncio.ensure_future(snapshot(running, channel=CHANNEL))
    await stile.arrived.wait()
    await move(database, payment, "failed")
    await running.settle()
    stile.open()
    answer = await asking
    assert [row["status"] for row in answer.body["rows"]] == ["pending"]
    client = Poller(running.http, running.token(), [CHANNEL], wait=0)
    client.cursor, client.views = answer.body["cursor"], {CHANNEL: answer.body["view"]}
    assert (await client.poll()).of("subscribed")[0]["channels"][CHANNEL]["resumed"] is True
    changes = [frame["data"]["transaction"]["status"] for frame in client.of("transaction_update")]
    assert changes[-1] == "failed"


async def test_an_aggregate_has_its_whole_message(database: Database, running: RunningRelay) -> None:
    """Numbers come as their message does, and take no filter."""
    room = running.daemon.services.aggregates["metrics"]
    await eventually(lambda: room.values is not None)
    answer = await snapshot(running, channel="metrics")
    assert (answer.body["type"], answer.body["complete"]) == ("metrics_update", True)
    assert "cursor" not in answer.body
    refused = await snapshot(running, channel="metrics", filter={"a": 1})
    assert (refused.status, refused.body["code"]) == (400, "filter_refused")


async def test_what_cannot_be_read_now_may_be_asked_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot that fails is 503 with a pause; its reason stays with the operators."""
    async with running_relay(settings_for(database.daemon_dsn)) as running:
        await database.execute("ALTER TABLE finances_purchasetransaction RENAME COLUMN amount TO sum")
        answer = await snapshot(running, channel=CHANNEL)
        assert (answer.status, answer.body["code"]) == (503, "snapshot_failed")
        assert "amount" not in answer.body["message"]
        assert "retry-after" in answer.headers
        assert isinstance(running.daemon.services.snapshots, SnapshotDesk)
