"""Polling for events: a client without WebSocket gets what a connection would get, and is never told less."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.database import Database
from tests.support.payments import pay, student
from tests.support.polling import Poller
from tests.support.relay import RunningRelay

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
