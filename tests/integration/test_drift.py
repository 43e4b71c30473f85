"""A table that is not captured whole: everybody is told, and no screen claims to be complete up to a later moment."""

from __future__ import annotations

import pytest

from tests.support.client import connected
from tests.support.database import Database
from tests.support.payments import pay, student
from tests.support.polling import Poller
from tests.support.relay import RunningRelay
from tests.support.waiting import eventually

OFF = "ALTER TABLE finances_purchasetransaction DISABLE TRIGGER USER"
ON = "ALTER TABLE finances_purchasetransaction ENABLE TRIGGER USER"


@pytest.mark.parametrize("channel", ["transactions", "webhooks"])
async def test_heartbeats_stay_at_the_moment_that_was_noticed(
    database: Database, running: RunningRelay, channel: str
) -> None:
    """While a trigger is off checkpoints keep one ``as_of`` and move their cursor on; when it is back, both move."""
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=[channel])
        before = await client.take("checkpoint")
        await database.execute(OFF)
        assert (await client.take("capture_status"))["status"] == "degraded"
        await client.take("checkpoint")
        told = [await client.take("checkpoint") for _ in range(3)]
        assert len({frame["as_of"] for frame in told}) == 1
        assert told[0]["as_of"] >= before["as_of"]
        await pay(database, await student(database))
        await database.execute(ON)
        assert (await client.take("capture_status"))["status"] == "ok"
        await client.take("checkpoint", where=lambda frame: frame["as_of"] > told[-1]["as_of"])


async def test_numbers_stay_too(database: Database, running: RunningRelay) -> None:
    """While a trigger is off numbers keep their ``as_of``, also the signs of life; when it is back, it moves."""
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["metrics"])
        await client.take("metrics_update", where=lambda frame: frame["complete"])
        await database.execute(OFF)
        await client.take("capture_status")
        await client.take("metrics_update", where=lambda frame: frame["complete"])
        told = [await client.take("metrics_update") for _ in range(3)]
        assert len({frame["as_of"] for frame in told}) == 1
        await database.execute(ON)
        await client.take("metrics_update", where=lambda frame: frame["as_of"] > told[-1]["as_of"])


async def test_a_poll_says_the_same(database: Database, running: RunningRelay) -> None:
    """Who polls is told with every answer that capture is degraded, and up to when it was not."""
    client = Poller(running.http, running.token(), ["transactions"], wait=0)
    await client.poll()
    await database.execute(OFF)

    async def degraded() -> bool:
        return bool((await client.poll()).of("capture_status")[0]["status"] == "degraded")

    await eventually(degraded)
    told = [(await client.poll()).of("checkpoint")[-1] for _ in range(3)]
    assert len({frame["as_of"] for frame in told}) == 1
    assert all(answer["type"] == "checkpoint" for answer in told)
    await database.execute(ON)
