"""A snapshot that cannot be had costs its own channel, a database that cannot be had the whole connection."""

from __future__ import annotations

import pytest

from relay.errors import CaptureDegraded, MappingError, Overloaded, RelayError
from tests.support.client import connected
from tests.support.database import Database
from tests.support.payments import pay, student
from tests.support.relay import RunningRelay, running_relay, settings_for

CHANNEL = "transactions"


async def test_a_snapshot_that_takes_too_long_ends_its_own_channel(database: Database) -> None:
    """Rows that Postgres does not give in time end that subscription, with an error; the others go on as if nothing
    had been."""
    payment = await pay(database, await student(database))
    quick = settings_for(database.daemon_dsn, database={"snapshot_timeout_seconds": 0.2})
    async with running_relay(quick) as running, connected(running.url, running.token()) as client:
        busy = await database.connect()
        async with busy.transaction():
            await busy.execute("LOCK TABLE finances_paymentdispute IN ACCESS EXCLUSIVE MODE")
            await client.send("subscribe", channels=["disputes", CHANNEL], snapshot=10)
            error = await client.take("error")
            assert (error["code"], error["channel"], error["retryable"]) == (
                "snapshot_failed",
                "disputes",
                True,
            )
            gone = await client.take("unsubscribed")
            assert (gone["channels"], gone["reason"]) == (["disputes"], "snapshot_failed")
            snapshot = await client.take("snapshot")
            assert (snapshot["channel"], snapshot["rows"][0]["id"]) == (CHANNEL, str(payment))
            await client.take("checkpoint")


async def test_why_a_snapshot_failed_is_for_operators(
    running: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the database says about it, with names of tables and roles, does not leave the house."""

    async def refuse(query: object) -> None:
        raise MappingError("table public.secret_ledger has no column owner; correct the configuration")

    monkeypatch.setattr(running.daemon.services.capture, "rows", refuse)
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[CHANNEL], snapshot=10)
        assert "secret_ledger" not in (await client.take("error"))["message"]
        await client.take("unsubscribed")


@pytest.mark.parametrize(
    ("trouble", "code"),
    [(CaptureDegraded("the database is away"), "capture_degraded"), (Overloaded("a snapshot"), "overloaded")],
)
async def test_a_trouble_of_the_moment_is_a_goodbye(
    running: RunningRelay, monkeypatch: pytest.MonkeyPatch, trouble: RelayError, code: str
) -> None:
    """While the database is away, or too many wait for it, a client is let go with 1013 and told when to come back."""

    async def refuse(query: object) -> None:
        raise trouble

    monkeypatch.setattr(running.daemon.services.capture, "rows", refuse)
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[CHANNEL], snapshot=10)
        goodbye = await client.take("goodbye")
        assert goodbye["code"] == code
        assert goodbye["retry_after_ms"] > 0
        assert await client.closed() == 1013
