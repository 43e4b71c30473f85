"""mode => 'notify': no outbox row, the notification carries the event."""

import json
from typing import Any

import pytest

from tests.sql.helpers import drift, events, watch
from tests.support.database import Database


@pytest.fixture
async def watched(relay_database: Database) -> Database:
    """A database with a table in mode notify."""
    await watch(relay_database, mode="notify")
    return relay_database


async def published(database: Database, *statements: str) -> list[dict[str, Any]]:
    """The payloads that the statements lead to, decoded, without what clock and counters decide."""
    listener = await database.connect()
    await listener.execute("LISTEN relay")
    for statement in statements:
        await database.execute(statement)
    await database.execute("SELECT pg_notify('relay', 'end')")
    payloads = []
    async for note in listener.notifies(timeout=30):
        if note.payload == "end":
            break
        assert len(note.payload.encode()) <= 7900
        payload = json.loads(note.payload)
        assert (payload.pop("v"), payload.pop("kind"), payload.pop("source")) == (
            1,
            "event",
            "public.payment",
        )
        assert int(payload.pop("xid")) > 0
        assert "T" in payload.pop("at")
        payloads.append(payload)
    return payloads


async def test_the_notification_carries_the_event(watched: Database) -> None:
    """Each change is one notification with the same images as in the outbox; the outbox stays empty."""
    first = {"id": 1, "amount": None, "status": "pending", "metadata": None}
    second = first | {"status": "x"}
    assert await published(
        watched,
        "INSERT INTO payment DEFAULT VALUES",
        "UPDATE payment SET status = 'x'",
        "UPDATE payment SET secret = 'unlisted'",
        "DELETE FROM payment",
        "TRUNCATE payment",
    ) == [
        {"op": "insert", "key": {"id": 1}, "new": first},
        {"op": "update", "key": {"id": 1}, "new": second, "old": first},
        {"op": "delete", "key": {"id": 1}, "old": second},
        {"op": "truncate", "key": None},
    ]
    assert await events(watched) == []


async def test_a_long_event_goes_with_its_key(watched: Database) -> None:
    """Above 7,900 bytes the key goes alone, counted in bytes; no length of a value fails the write."""
    assert await published(
        watched,
        "INSERT INTO payment (metadata) VALUES (to_jsonb(repeat('ä', 3000)))",
        "INSERT INTO payment (metadata) VALUES (to_jsonb(repeat('ä', 4000)))",
        "UPDATE payment SET metadata = to_jsonb(repeat('y', 20000000))",
    ) == [
        {
            "op": "insert",
            "key": {"id": 1},
            "new": {"id": 1, "amount": None, "status": "pending", "metadata": "ä" * 3000},
        },
        {"op": "insert", "key": {"id": 2}},
        {"op": "update", "key": {"id": 1}},
        {"op": "update", "key": {"id": 2}},
    ]


async def test_a_key_that_is_too_long_goes_without(watched: Database) -> None:
    """Not even a key of more than 7,900 bytes fails the write; the event then says only that some row changed."""
    await watched.execute("DROP TABLE payment; CREATE TABLE payment (id text PRIMARY KEY)")
    await watch(watched, columns=[], mode="notify")
    await watched.execute("ALTER TABLE payment DROP CONSTRAINT payment_pkey")
    assert await published(watched, "INSERT INTO payment VALUES (repeat('k', 9000))") == [
        {"op": "insert", "key": None}
    ]


async def test_a_dropped_column_costs_the_image(watched: Database) -> None:
    """As in the outbox, an image that cannot be built leaves the key, and a mark."""
    await watched.execute("ALTER TABLE payment DROP COLUMN status")
    assert await published(watched, "INSERT INTO payment DEFAULT VALUES") == [
        {"op": "insert", "key": {"id": 1}}
    ]
    assert "status" in (await drift(watched) or "")


async def test_the_mode_can_be_changed(watched: Database) -> None:
    """Watching in the other mode switches over, TRUNCATE included."""
    assert await watch(watched) == "changed"
    assert await published(watched, "INSERT INTO payment DEFAULT VALUES", "TRUNCATE payment") == []
    assert len(await events(watched)) == 2
    assert await watched.execute("SELECT mode FROM relay.watched") == [("outbox",)]
