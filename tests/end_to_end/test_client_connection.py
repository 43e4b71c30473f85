"""The JavaScript client against a real relay: tokens, refusals, restarts, and the way around a blocked WebSocket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.support.database import Database
from tests.support.javascript import javascript
from tests.support.payments import move, pay, student
from tests.support.relay import OWNER, RunningRelay, running_relay, settings_for
from tests.support.waiting import eventually

FAILED = {"filter": {"status": "failed"}}


@pytest.fixture
async def running(database: Database) -> AsyncIterator[RunningRelay]:
    """A relay with the demo's channels and policies."""
    async with running_relay(settings_for(database.daemon_dsn)) as relay:
        yield relay


async def test_a_token_is_refreshed_in_place(running: RunningRelay, database: Database) -> None:
    """A token about to expire is replaced without a break: nobody sees another state than live."""
    user = await student(database)
    async with javascript(running.url, lambda: running.token(seconds=4)) as program:
        program.do("subscribe", name="events", channel="transactions")
        await program.becomes("live")
        begun = len(program.of("status"))
        await program.says("token", count=3)
        payment = await pay(database, user)
        assert (await program.says("event"))["row"]["id"] == str(payment)
        assert {status["state"] for status in program.of("status")[begun:]} <= {"live"}
        assert program.of("error") == []


async def test_an_expired_token_is_replaced_by_a_fresh_one(running: RunningRelay) -> None:
    """A client that brings an expired token asks for another one, and is let in with that."""
    tokens = iter([running.token(seconds=-100), running.token()])
    async with javascript(running.url, lambda: next(tokens)) as program:
        await program.becomes("live")
        assert len(program.of("token")) == 2


@pytest.mark.parametrize("network", ["open", "blocked"])
async def test_a_client_that_has_no_good_token_is_signed_out_and_stays_so(
    running: RunningRelay, network: str
) -> None:
    """After two refused tokens the client says what is wrong and stops; `reconnect()` with a good one goes on."""
    token = {"now": running.token(seconds=-100)}
    async with javascript(running.url, lambda: token["now"], network=network) as program:
        program.do("subscribe", name="events", channel="transactions")
        status = await program.becomes("signed-out")
        assert status["error"] in ("token_expired", "token_refused")
        assert status["retryAt"] is None
        asked = len(program.of("token"))
        program.do("call", method="wake")
        token["now"] = running.token()
        program.do("network", **{"is": "open"})
        program.do("call", method="reconnect")
        await program.becomes("live")
        assert len(program.of("token")) > asked


async def test_a_revoked_subject_is_signed_out(running: RunningRelay, database: Database) -> None:
    """Revocation ends the connection for good, with its reason."""
    async with javascript(running.url, running.token) as program:
        program.do("subscribe", name="events", channel="transactions")
        await program.becomes("live")
        await database.execute("SELECT relay.revoke('ana', 'left the company')")
        status = await program.becomes("signed-out")
        assert status["error"] == "token_revoked"
        (error,) = program.of("error")
        assert (error["retryable"], error["advice"]) == (False, "sign-in")


async def test_one_refused_channel_disturbs_no_other(running: RunningRelay, database: Database) -> None:
    """An unknown filter field and a channel that is not granted are told by name; the others go on."""
    user = await student(database, school=1)
    async with javascript(running.url, lambda: running.token(OWNER)) as program:
        program.do("subscribe", name="good", channel="transactions", options={"snapshot": 10})
        program.do("subscribe", name="bad", channel="disputes", options={"filter": {"colour": "red"}})
        program.do("subscribe", name="hidden", channel="fraud_alerts")
        await program.becomes("live")
        assert {(said["name"], said["code"]) for said in program.of("refused")} == {
            ("bad", "filter_refused"),
            ("hidden", "unknown_channel"),
        }
        payment = await pay(database, user)
        assert (await program.says("event", name="good"))["row"]["id"] == str(payment)
        program.do("call", name="bad", method="setFilter", args=[{"status": "won"}])
        await program.says("state", name="bad", state="live")
        assert all(status["channels"] == ["disputes", "transactions"] for status in program.of("status")[-1:])


async def test_a_filter_is_replaced_and_a_bad_one_leaves_the_old_in_place(
    running: RunningRelay, database: Database
) -> None:
    """`setFilter` begins anew with a snapshot; where it is refused the old subscription goes on."""
    user = await student(database)
    good, bad = await pay(database, user), await pay(database, user, status="failed")
    async with javascript(running.url, running.token) as program:
        program.do("list", name="list", channel="transactions")
        await program.becomes("live")
        program.do("call", name="list", method="setFilter", args=[{"status": "failed"}])

        async def only(*ids: int) -> bool:
            return [row["id"] for row in (await program.read("list"))["rows"]] == [str(id) for id in ids]

        await eventually(lambda: only(bad))
        program.do("call", name="list", method="setFilter", args=[{"status": {"like": "f"}}])
        await program.says("error", code="filter_refused")
        await move(database, good, "failed")
        await eventually(lambda: only(bad, good) if bad > good else only(good, bad))


async def test_a_restart_is_waited_out_and_resumed(database: Database) -> None:
    """A relay that restarts says goodbye; the client comes back to the next one and misses nothing."""
    user = await student(database)
    async with contextlib.AsyncExitStack() as stack:
        async with running_relay(settings_for(database.daemon_dsn)) as first:
            program = await stack.enter_async_context(javascript(first.url, first.token, fallback=False))
            program.do("subscribe", name="events", channel="transactions")
            await program.becomes("live")
            port = first.daemon.port
        await program.says("error", code="restart")
        missed = await pay(database, user)
        await stack.enter_async_context(
            running_relay(settings_for(database.daemon_dsn, server={"port": port}))
        )
        said = await program.says("event")
        assert said["row"]["id"] == str(missed)
        assert program.of("reset") == []


@pytest.mark.parametrize("network", ["blocked", "dropped"])
async def test_where_websocket_does_not_get_through_the_client_polls_and_finds_its_way_back(
    running: RunningRelay, database: Database, network: str
) -> None:
    """Rows, numbers and events come by long poll; once WebSocket works again the client is back on it, with no event
    lost or repeated."""
    user = await student(database)
    first = await pay(database, user)
    async with javascript(running.url, running.token, network=network, wayBackMs=500) as program:
        program.do("subscribe", name="events", channel="transactions", options={"snapshot": 10})
        program.do("numbers", name="numbers", channel="metrics")
        status = await program.becomes("live")
        assert status["transport"] == "polling"
        assert [row["id"] for row in (await program.says("snapshot"))["rows"]] == [str(first)]
        sent = [str(first)]
        for _ in range(3):
            sent.append(str(await pay(database, user)))
            await program.says("event", count=len(sent) - 1)

        async def counted() -> bool:
            numbers = await program.read("numbers")
            return bool(numbers["complete"] and numbers["data"]["metrics"]["total_transactions_24h"] == 4)

        await eventually(counted)
        program.do("network", **{"is": "open"})
        await eventually(lambda: program.status["transport"] == "websocket")
        await program.becomes("live")
        sent.append(str(await pay(database, user)))
        await program.says("event", count=4)
        assert [event["row"]["id"] for event in program.of("event")] == sent[1:]
        assert program.of("reset", name="events") == []
        assert "polling" not in [status["transport"] for status in program.of("status")[-2:]]


async def test_no_log_line_shows_a_token(running: RunningRelay) -> None:
    """The debug log tells what happens and never holds a token, whichever way it travels."""
    token = running.token()
    for network in ("open", "blocked"):
        async with javascript(running.url, lambda: token, network=network) as program:
            program.do("subscribe", name="events", channel="transactions")
            await program.becomes("live")
            lines = [said["line"] for said in program.of("log")]
            assert len(lines) > 3
            assert [line for line in lines if token in line or token.split(".")[1] in line] == []
