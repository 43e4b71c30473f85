"""Coming back: what a client may keep, and what becomes of cursors good, old, forged or from another life."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.client import Client, connected
from tests.support.database import Database
from tests.support.payments import move, pay, student
from tests.support.relay import OWNER, RunningRelay, running_relay, settings_for
from tests.support.turnstile import Turnstile

CHANNEL = "transactions"


async def leave_with_cursor(running: RunningRelay, **fields: Any) -> tuple[str, dict[str, str]]:
    """Subscribe, wait for a checkpoint and go; what a client would keep."""
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[CHANNEL], **fields)
        subscribed = await client.take("subscribed")
        checkpoint = await client.take("checkpoint")
        return checkpoint["cursor"], {CHANNEL: subscribed["channels"][CHANNEL]["view"]}


async def come_back(client: Client, cursor: str, views: dict[str, str], **fields: Any) -> dict[str, Any]:
    """Resume, and return how the channel was taken up."""
    await client.send("subscribe", channels=[CHANNEL], since=cursor, views=views, **fields)
    taken: dict[str, Any] = (await client.take("subscribed"))["channels"][CHANNEL]
    return taken


def events(client: Client) -> list[str]:
    """Payments told about, in order."""
    return [frame["data"]["transaction"]["id"] for frame in client.of("transaction_update")]


async def until_told(client: Client, payment: str) -> None:
    """Read until ``payment`` has been told about."""
    while payment not in events(client):
        await client.take("transaction_update")


@pytest.mark.parametrize("ring_events", [10_000, 1])
async def test_a_client_that_comes_back_gets_exactly_what_it_missed(
    database: Database, ring_events: int
) -> None:
    """Missed events come between ``subscribed``, which counts them, and a checkpoint; from memory or the outbox."""
    user = await student(database)
    settings = settings_for(database.daemon_dsn, capture={"ring_events": ring_events})
    async with running_relay(settings) as running:
        cursor, views = await leave_with_cursor(running)
        missed = [str(await pay(database, user)) for _ in range(5)]
        await running.settle()
        async with connected(running.url, running.token()) as client:
            taken = await come_back(client, cursor, views)
            assert (taken["resumed"], taken["replayed"]) == (True, 5)
            await client.take("checkpoint")
            assert events(client) == missed
            live = str(await pay(database, user))
            await client.take("transaction_update", where=lambda f: f["data"]["transaction"]["id"] == live)
            assert events(client) == [*missed, live]


async def test_any_relay_takes_up_any_cursor(database: Database) -> None:
    """A cursor of one relay resumes on another that was started later and remembers nothing."""
    user = await student(database)
    async with running_relay(settings_for(database.daemon_dsn)) as first:
        cursor, views = await leave_with_cursor(first)
        missed = [str(await pay(database, user)) for _ in range(3)]
    async with (
        running_relay(settings_for(database.daemon_dsn)) as second,
        connected(second.url, second.token()) as client,
    ):
        assert (await come_back(client, cursor, views))["resumed"] is True
        await client.take("checkpoint")
        assert events(client) == missed


async def test_cut_anywhere_nothing_is_lost(database: Database, running: RunningRelay) -> None:
    """Whatever message a connection ends after, coming back with the last checkpoint brings all that is missing."""
    user = await student(database)
    cursor, views = await leave_with_cursor(running)
    expected = [str(await pay(database, user)) for _ in range(4)]
    await running.settle()
    cuts = 0
    while True:
        kept, seen = cursor, []
        async with connected(running.url, running.token()) as client:
            await client.send("subscribe", channels=[CHANNEL], since=kept, views=views)
            finished = False
            for _ in range(cuts + 1):
                frame = await client.read()
                if frame["type"] == "transaction_update":
                    seen.append(frame["id"])
                if frame["type"] == "checkpoint":
                    kept, finished = frame["cursor"], True
        async with connected(running.url, running.token()) as client:
            await come_back(client, kept, views)
            await client.take("checkpoint")
            known = set(seen) if kept == cursor else set()
            again = [frame for frame in client.of("transaction_update") if frame["id"] not in known]
            total = len(seen) + len(again)
            assert total == len(expected), f"cut after {cuts + 1} messages"
        if finished:
            return
        cuts += 1


async def test_events_during_a_replay_come_exactly_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payment committed while the outbox is read for a replay is told once, whichever side of the reading it fell."""
    user = await student(database)
    for when in ("before", "after"):
        settings = settings_for(database.daemon_dsn, capture={"ring_events": 1})
        async with running_relay(settings) as running:
            cursor, views = await leave_with_cursor(running)
            missed = [str(await pay(database, user)) for _ in range(3)]
            await running.settle()
            stile = Turnstile(monkeypatch, running.daemon.services.capture, "resume", when=when)
            async with connected(running.url, running.token()) as client:
                await client.send("subscribe", channels=[CHANNEL], since=cursor, views=views)
                await stile.arrived.wait()
                during = str(await pay(database, user))
                await running.settle()
                stile.open()
                await client.take("checkpoint")
                after = str(await pay(database, user))
                await until_told(client, after)
                assert events(client) == [*missed, during, after], when


@pytest.mark.parametrize("change", ["filter", "no view"])
async def test_another_view_cannot_be_resumed(database: Database, running: RunningRelay, change: str) -> None:
    """Under another filter, or without saying under which view it left, a client gets resync and a snapshot."""
    payment = await pay(database, await student(database), status="failed")
    cursor, views = await leave_with_cursor(running)
    fields = {"filters": {CHANNEL: {"status": "failed"}}} if change == "filter" else {}
    async with connected(running.url, running.token()) as client:
        taken = await come_back(client, cursor, views if change == "filter" else {}, **fields)
        assert taken["resumed"] is False
        resync = await client.take("resync")
        assert (resync["channels"], resync["reason"]) == ([CHANNEL], "view_changed")
        assert [row["id"] for row in (await client.take("snapshot"))["rows"]] == [str(payment)]
        await client.take("checkpoint")


async def test_a_filter_written_differently_is_the_same_view(
    database: Database, running: RunningRelay
) -> None:
    """Order, shorthand and decimal zeros of a filter do not cost a client its cursor."""
    cursor, views = await leave_with_cursor(
        running, filters={CHANNEL: {"amount": {"gte": "100"}, "status": ["failed", "pending"]}}
    )
    async with connected(running.url, running.token()) as client:
        same = {CHANNEL: {"status": {"in": ["pending", "failed"]}, "amount": {"gte": "100.00"}}}
        assert (await come_back(client, cursor, views, filters=same))["resumed"] is True


@pytest.mark.parametrize("cursor", ["", "garbage", "A" * 4096, "A" * 5000, "AQ", "näh"])
async def test_a_forged_cursor_is_a_resync(database: Database, running: RunningRelay, cursor: str) -> None:
    """What is no cursor costs its bearer a snapshot, and nobody else anything."""
    _, views = await leave_with_cursor(running)
    async with connected(running.url, running.token()) as client:
        assert (await come_back(client, cursor, views))["resumed"] is False
        assert (await client.take("resync"))["reason"] == "cursor"
        await client.take("snapshot")
        await client.take("checkpoint")


async def test_a_cursor_from_before_a_reset_is_a_resync(database: Database) -> None:
    """After relay.reset() event ids may start again, so every older cursor is refused by its epoch."""
    async with running_relay(settings_for(database.daemon_dsn)) as running:
        cursor, views = await leave_with_cursor(running)
    await database.execute("SELECT relay.reset()")
    async with (
        running_relay(settings_for(database.daemon_dsn)) as running,
        connected(running.url, running.token()) as client,
    ):
        assert (await come_back(client, cursor, views))["resumed"] is False
        assert (await client.take("resync"))["reason"] == "epoch"


async def test_more_than_the_replay_limit_is_a_resync(database: Database) -> None:
    """A client that missed more rows than one replay may read gets a snapshot instead."""
    user = await student(database)
    settings = settings_for(database.daemon_dsn, capture={"ring_events": 1, "replay_limit": 3})
    async with running_relay(settings) as running:
        cursor, views = await leave_with_cursor(running)
        for _ in range(5):
            await pay(database, user)
        await running.settle()
        async with connected(running.url, running.token()) as client:
            assert (await come_back(client, cursor, views))["resumed"] is False
            assert (await client.take("resync"))["reason"] == "too_far"
            assert len((await client.take("snapshot"))["rows"]) == 5


async def test_what_cannot_be_told_as_events_is_a_resync(database: Database, running: RunningRelay) -> None:
    """A table emptied, or a scope moved, while the client was away: its cursor is good and its rows are not."""
    user = await student(database, school=1)
    await pay(database, user)
    await running.settle()
    async with connected(running.url, running.token(OWNER)) as client:
        await client.send("subscribe", channels=[CHANNEL])
        views = {CHANNEL: (await client.take("subscribed"))["channels"][CHANNEL]["view"]}
        cursor = (await client.take("checkpoint"))["cursor"]
    await database.execute("UPDATE accounts_schoolmembership SET school_id = 2 WHERE user_id = %s", user)
    await running.settle()
    async with connected(running.url, running.token(OWNER)) as client:
        assert (await come_back(client, cursor, views))["resumed"] is False
        assert (await client.take("resync"))["reason"] == "scope_changed"
        cursor = (await client.take("checkpoint"))["cursor"]
    await database.execute("TRUNCATE finances_purchasetransaction CASCADE")
    await running.settle()
    async with connected(running.url, running.token(OWNER)) as client:
        assert (await come_back(client, cursor, views))["resumed"] is False
        # TRUNCATE also gives the table a new file, which alone would be reason enough.
        assert (await client.take("resync"))["reason"] in ("truncated", "capture_changed")


async def test_a_trigger_switched_off_meanwhile_is_a_resync(database: Database) -> None:
    """A cursor from before a table's trigger was off and on again is refused for that table, on any relay."""
    user = await student(database)
    async with running_relay(settings_for(database.daemon_dsn)) as running:
        cursor, views = await leave_with_cursor(running)
    await database.execute("ALTER TABLE finances_purchasetransaction DISABLE TRIGGER ALL")
    unseen = await pay(database, user)
    await database.execute("ALTER TABLE finances_purchasetransaction ENABLE TRIGGER ALL")
    async with (
        running_relay(settings_for(database.daemon_dsn)) as running,
        connected(running.url, running.token()) as client,
    ):
        assert (await come_back(client, cursor, views))["resumed"] is False
        assert (await client.take("resync"))["reason"] == "capture_changed"
        assert [row["id"] for row in (await client.take("snapshot"))["rows"]] == [str(unseen)]


async def test_a_checkpoint_comes_in_the_same_write_as_its_batch(
    database: Database, running: RunningRelay
) -> None:
    """Who received something in a batch gets its checkpoint right behind it; its ``as_of`` is after the change."""
    user = await student(database)
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[CHANNEL])
        await client.take("checkpoint")
        await pay(database, user)
        update = await client.take("transaction_update")
        following = await client.take()
        assert following["type"] == "checkpoint"
        assert following["as_of"] >= update["timestamp"]


async def test_a_quiet_screen_is_told_up_to_when_it_is_complete(running: RunningRelay) -> None:
    """Without any change checkpoints come with every heartbeat, each with a later ``as_of`` from a real poll."""
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[CHANNEL])
        moments = [(await client.take("checkpoint"))["as_of"] for _ in range(4)]
        assert moments == sorted(set(moments))


async def test_a_resume_under_todays_policy_only(database: Database, running: RunningRelay) -> None:
    """A cursor carries no rights: brought by somebody with a narrower scope, it yields what that scope allows."""
    theirs = await student(database, "theirs@example.com", school=2)
    cursor, views = await leave_with_cursor(running)
    payment = await pay(database, theirs)
    await move(database, payment, "failed")
    async with connected(running.url, running.token(OWNER)) as client:
        assert (await come_back(client, cursor, views))["resumed"] is False
        assert (await client.take("snapshot"))["rows"] == []
        assert events(client) == []


async def test_one_subscribe_resumes_what_it_can_and_resyncs_the_rest(
    database: Database, running: RunningRelay
) -> None:
    """Channels of one request are taken up each on its own merits, and one checkpoint ends them all."""
    user = await student(database)
    cursor, views = await leave_with_cursor(running)
    missed = str(await pay(database, user))
    await running.settle()
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[CHANNEL, "webhooks"], since=cursor, views=views, snapshot=5)
        taken = (await client.take("subscribed"))["channels"]
        assert taken[CHANNEL]["resumed"] is True
        assert taken["webhooks"]["resumed"] is False
        await client.take("checkpoint")
        assert events(client) == [missed]
        assert client.of("resync")[0]["channels"] == ["webhooks"]
        assert [frame["channel"] for frame in client.of("snapshot")] == ["webhooks"]
