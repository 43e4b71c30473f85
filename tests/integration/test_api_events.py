"""Polling for events: a client without WebSocket gets what a connection would get, and is never told less."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pytest

from relay.config import Settings
from relay.demo.postgres import Postgres
from relay.gateway import poll as poll_module
from tests.support.client import connected
from tests.support.database import Database, create_database, install
from tests.support.payments import pay, student
from tests.support.polling import Poller, requested
from tests.support.proxy import TcpProxy
from tests.support.relay import RunningRelay, running_relay, settings_for
from tests.support.waiting import eventually

CHANNEL = "transactions"


def poller(running: RunningRelay, channels: list[str] | None = None, **parameters: Any) -> Poller:
    """A client of ``running`` that may see everything."""
    return Poller(running.http, running.token(), channels or [CHANNEL], **parameters)


def payments(frames: list[dict[str, Any]]) -> list[str]:
    """Payments told about, in order."""
    return [frame["data"]["transaction"]["id"] for frame in frames if frame["type"] == "transaction_update"]


async def test_without_a_cursor_the_answer_comes_at_once(database: Database, running: RunningRelay) -> None:
    """The first poll brings what a connection brings: welcome, subscribed, snapshot, and a checkpoint to go on from."""
    payment = str(await pay(database, await student(database)))
    client = poller(running, snapshot=10)
    answer = await client.poll(wait=25, within=10)
    assert answer.types == ["welcome", "capture_status", "subscribed", "snapshot", "checkpoint"]
    (snapshot,) = answer.of("snapshot")
    assert [row["id"] for row in snapshot["rows"]] == [payment]
    assert answer.body["cursor"] == answer.of("checkpoint")[0]["cursor"]
    assert answer.headers["cache-control"] == "no-store"


async def test_a_poll_waits_for_what_happens(database: Database, running: RunningRelay) -> None:
    """With a cursor the answer comes when something has happened, and brings it; then the next poll waits again."""
    user = await student(database)
    client = poller(running, wait=25)
    await client.poll()
    for _ in range(2):
        missed = str(await pay(database, user))
        answer = await client.poll()
        assert answer.of("subscribed")[0]["channels"][CHANNEL]["resumed"] is True
        assert payments(answer.body["messages"]) == [missed]


@pytest.mark.parametrize("wait", ["0", "0.2"])
async def test_nothing_new_is_an_answer_too(running: RunningRelay, wait: str) -> None:
    """A poll in which nothing happens ends when the client wanted it to, with a checkpoint of a later moment."""
    client = poller(running, wait=wait)
    first = await client.poll()
    second = await client.poll(within=10)
    assert second.types == ["welcome", "capture_status", "subscribed", "checkpoint"]
    assert second.of("checkpoint")[0]["as_of"] > first.of("checkpoint")[0]["as_of"]


async def test_nothing_is_lost_or_told_twice_by_polls_that_are_abandoned(database: Database) -> None:
    """While payments are written without a pause, a client that hangs up on its polls at random applies every event
    once; what it did not wait for costs nothing afterwards."""
    user = await student(database)
    chance = random.Random(4)
    limits = {"polls_per_minute_per_subject": 100_000, "polls_per_minute_per_address": 100_000}
    settings = settings_for(database.daemon_dsn, limits=limits, capture={"ring_events": 20})
    async with running_relay(settings) as running:
        client = poller(running, wait="0.5")
        await client.poll()
        left, hung_up = 2, 0

        async def write(statuses: tuple[str, ...]) -> None:
            nonlocal left
            writer = await database.connect()
            for _ in range(60):
                columns = (
                    "student_id, transaction_type, amount, payment_status, metadata, created_at, updated_at"
                )
                found = await writer.execute(
                    f"INSERT INTO finances_purchasetransaction ({columns})"
                    " VALUES (%s, 'package', 1, 'pending', '{}', now(), now()) RETURNING id",
                    [user],
                )
                row = await found.fetchone()
                assert row is not None
                for status in statuses:
                    await writer.execute(
                        "UPDATE finances_purchasetransaction SET payment_status = %s WHERE id = %s",
                        [status, row[0]],
                    )
                await asyncio.sleep(chance.uniform(0, 0.02))
            left -= 1

        async with asyncio.TaskGroup() as writers:
            writers.create_task(write(("processing", "completed")))
            writers.create_task(write(("failed",)))
            while left or hung_up < 5:
                if chance.random() < 0.6:
                    async with requested(client.url, client.token) as (reader, _):
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(chance.uniform(0, 0.2)):
                                await reader.read(chance.choice([1, 500]))
                    hung_up += 1
                else:
                    await client.poll()
        await running.settle()
        await client.poll(wait=0)
        rows = await database.execute(
            "SELECT id::text FROM relay.event AS e WHERE source = 'public.finances_purchasetransaction' ORDER BY e.id"
        )
        told = [frame["id"] for frame in client.of("transaction_update")]
        assert sorted(told, key=int) == [row[0] for row in rows]
        assert len(told) == 60 * 5
        assert client.of("resync") == []
        services = running.daemon.services
        await eventually(lambda: services.limits.taken == 0 and services.hub.subscriptions == 0)
        assert services.hub.subscribers == []


async def test_a_lost_answer_is_told_again(database: Database, running: RunningRelay) -> None:
    """A client that never saw an answer asks again with the cursor it has, and is told the same."""
    user = await student(database)
    client = poller(running, wait=5)
    await client.poll()
    cursor = client.cursor
    missed = [str(await pay(database, user)) for _ in range(3)]
    await running.settle()
    assert payments((await client.poll()).body["messages"]) == missed
    client.cursor = cursor
    assert payments((await client.poll()).body["messages"]) == missed


async def test_a_cursor_goes_from_websocket_to_polls_and_back(
    database: Database, running: RunningRelay
) -> None:
    """A cursor and a view are worth the same on both ways in."""
    user = await student(database)
    async with connected(running.url, running.token()) as socket:
        await socket.send("subscribe", channels=[CHANNEL])
        view = (await socket.take("subscribed"))["channels"][CHANNEL]["view"]
        cursor = (await socket.take("checkpoint"))["cursor"]
    first = str(await pay(database, user))
    client = poller(running, wait=5)
    client.cursor, client.views = cursor, {CHANNEL: view}
    assert payments((await client.poll()).body["messages"]) == [first]
    second = str(await pay(database, user))
    async with connected(running.url, running.token()) as socket:
        await socket.send("subscribe", channels=[CHANNEL], since=client.cursor, views=client.views)
        assert (await socket.take("subscribed"))["channels"][CHANNEL]["resumed"] is True
        await socket.take("checkpoint")
        assert payments(socket.frames) == [second]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"since": "garbage"}, "cursor"),
        ({"since": "A" * 5000}, "cursor"),
        ({"views": {}}, "view_changed"),
        ({"filters": {CHANNEL: {"status": "pending"}}}, "view_changed"),
    ],
    ids=["no cursor", "too long", "no view", "another filter"],
)
async def test_what_cannot_be_resumed_is_a_resync(
    database: Database, running: RunningRelay, change: dict[str, Any], reason: str
) -> None:
    """A cursor or view that cannot be honoured is answered without waiting, by resync and a snapshot to go on from."""
    payment = str(await pay(database, await student(database)))
    client = poller(running)
    await client.poll()
    answer = await client.poll(**change, within=10)
    assert answer.of("subscribed")[0]["channels"][CHANNEL]["resumed"] is False
    assert answer.of("resync")[0]["reason"] == reason
    assert [row["id"] for row in answer.of("snapshot")[0]["rows"]] == [payment]
    assert answer.types[-1] == "checkpoint"
    follow = poller(running, wait=0, **({k: v for k, v in change.items() if k == "filters"}))
    follow.cursor, follow.views = client.cursor, client.views
    assert (await follow.poll()).of("subscribed")[0]["channels"][CHANNEL]["resumed"] is True


async def test_a_refused_filter_is_a_message(running: RunningRelay) -> None:
    """What is wrong with a filter or channel is an ``error`` that names it, and the other channels go on."""
    channels = [CHANNEL, "webhooks", "nothing"]
    client = poller(running, channels, filters={CHANNEL: {"colour": "red"}})
    answer = await client.poll()
    refused = {frame["channel"]: frame["code"] for frame in answer.of("error")}
    assert refused == {CHANNEL: "filter_refused", "nothing": "unknown_channel"}
    assert set(answer.of("subscribed")[0]["channels"]) == {"webhooks"}
    assert client.cursor is not None


async def test_a_poll_that_is_granted_nothing_does_not_wait(running: RunningRelay) -> None:
    """Where no channel can be subscribed to, the errors are the answer, and the cursor stays as it was."""
    client = poller(running, ["nothing"])
    client.cursor = "mine"
    answer = await client.poll(within=10)
    assert answer.types == ["welcome", "capture_status", "error"]
    assert client.cursor == "mine"


async def test_numbers_come_whole_and_then_when_they_change(
    database: Database, running: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every poll brings an aggregate whole, soon if nothing else happens; a change of it is news like any other."""
    user = await student(database)
    room = running.daemon.services.aggregates["metrics"]
    await eventually(lambda: room.values is not None)
    client = poller(running, [CHANNEL, "metrics"], wait=25)
    (first,) = (await client.poll()).of("metrics_update")
    assert first["complete"] is True
    monkeypatch.setattr(poll_module, "SOON", 0.2)
    (second,) = (await client.poll(within=10)).of("metrics_update")
    assert second["complete"] is True
    monkeypatch.setattr(poll_module, "SOON", 25.0)
    await pay(database, user)
    before = second["data"]["metrics"]["total_transactions_24h"]
    while client.of("metrics_update")[-1]["data"]["metrics"].get("total_transactions_24h") != before + 1:
        await client.poll(within=20)


async def test_a_reload_reaches_who_waits(database: Database) -> None:
    """What a reload takes away ends a waiting poll with ``unsubscribed``; a view that changed, with resync."""
    user = await student(database)
    payment = str(await pay(database, user))
    settings = settings_for(database.daemon_dsn)
    tree = settings.model_dump()
    tree["auth"]["secrets"] = [secret.get_secret_value() for secret in settings.auth.secrets]
    tree["policies"][0]["channels"] = [CHANNEL]
    tree["policies"][0]["mask"] = {"customer_email": "email"}
    async with running_relay(settings, reread=lambda: Settings.model_validate(tree)) as running:
        client = poller(running, [CHANNEL, "webhooks"])
        await client.poll()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(client.poll(within=20))
            await eventually(lambda: running.daemon.services.hub.subscriptions == 2)
            await running.daemon.reload()
        answer = waiting.result()
        assert [(f["channels"], f["reason"]) for f in answer.of("unsubscribed")] == [
            (["webhooks"], "not_granted")
        ]
        assert [(f["channels"], f["reason"]) for f in answer.of("resync")] == [([CHANNEL], "view_changed")]
        (row,) = answer.of("snapshot")[0]["rows"]
        assert (row["id"], row["customer_email"]) == (payment, "***@example.com")


async def test_more_than_fits_comes_with_the_next_answer(database: Database) -> None:
    """A poll whose list is full is answered at once with what it has; the rest comes with the cursor it got."""
    user = await student(database)
    settings = settings_for(
        database.daemon_dsn, limits={"buffer_bytes": 4096}, capture={"chunk_rows": 5, "ring_events": 5}
    )
    async with running_relay(settings) as running:
        client = poller(running, wait=5)
        await client.poll()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(client.poll())
            await eventually(lambda: running.daemon.services.hub.subscriptions == 1)
            expected = [str(await pay(database, user)) for _ in range(40)]
        waiting.result()
        while (told := sorted(set(payments(client.frames)), key=int)) != expected:
            assert len(told) < len(expected)
            await client.poll()
        assert len(client.last.text if client.last else b"") < 65536


async def test_an_outage_is_told_to_polls_too(own_postgres: Postgres) -> None:
    """While Postgres is away a poll is told so and let go with a pause; its cursor brings what it missed afterwards."""
    database = await create_database(own_postgres)
    await install(database)
    user = await student(database)
    async with TcpProxy("127.0.0.1", own_postgres.port) as proxy:
        dsn = database.daemon_dsn.replace(f":{own_postgres.port}/", f":{proxy.port}/")
        async with running_relay(settings_for(dsn)) as running:
            client = poller(running)
            await client.poll()
            await proxy.cut()

            async def degraded() -> bool:
                answer = await client.poll(wait=1)
                codes = [frame["code"] for frame in answer.of("goodbye")]
                return (answer.of("capture_status")[0]["status"], codes) == ("degraded", ["capture_degraded"])

            await eventually(degraded)
            resumed_from = client.cursor
            await client.poll()
            assert client.cursor == resumed_from is not None
            missed = str(await pay(database, user))
            await proxy.restore()

            async def told() -> bool:
                return payments((await client.poll(wait=1)).body["messages"]) == [missed]

            await eventually(told)
            assert client.last is not None
            assert client.last.of("capture_status")[-1]["status"] == "ok"
    await database.close()


async def test_a_large_commit_reaches_who_polls(database: Database) -> None:
    """While a commit of thousands of rows is streamed, polls come to an end, and every row of it is told."""
    user = await student(database)
    settings = settings_for(
        database.daemon_dsn,
        limits={"buffer_bytes": 65536, "polls_per_minute_per_subject": 100_000},
        capture={"chunk_rows": 50, "ring_events": 10},
    )
    async with running_relay(settings) as running:
        client = poller(running, wait=5)
        await client.poll()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(client.poll())
            await eventually(lambda: running.daemon.services.hub.subscriptions == 1)
            rows = await database.execute(
                "INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status,"
                " metadata, created_at, updated_at) SELECT %s, 'package', 1, 'pending', '{}', now(), now()"
                " FROM generate_series(1, 3000) RETURNING id",
                user,
            )
        waiting.result()
        expected = {str(row[0]) for row in rows}
        for _ in range(20):
            if set(payments(client.frames)) == expected:
                break
            await client.poll()
        assert set(payments(client.frames)) == expected
        assert client.of("resync") == []
