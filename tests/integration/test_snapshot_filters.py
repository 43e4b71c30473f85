"""What Postgres checks for a snapshot and what Python checks are one and the same filter."""

from __future__ import annotations

import random
from typing import Any

from relay.capture.source import RowsQuery
from relay.routing import filters
from relay.routing.view import View
from tests.support.client import connected
from tests.support.database import Database
from tests.support.payments import pay, student
from tests.support.relay import RunningRelay

AMOUNTS = ["0.00", "0.10", "99.99", "100.00", "100.01", "1000.00"]
STATUSES = ["pending", "processing", "completed", "failed", "cancelled", "refunded"]
SHOWN = ["pending", "succeeded", "canceled", "failed", "completed", ""]


def some_filter(rng: random.Random) -> dict[str, Any]:
    """Any filter on the channel's fields, with operands at and around the values that exist."""
    amount = rng.choice(AMOUNTS)
    made: list[dict[str, Any]] = [
        {"status": rng.choice(SHOWN)},
        {"status": rng.sample(SHOWN, 2)},
        {"status": {"ne": rng.choice(SHOWN)}},
        {"status": {"gte": rng.choice(SHOWN)}},
        {"amount": {rng.choice(["eq", "gt", "gte", "lt", "lte", "ne"]): amount}},
        {"amount": [amount, "5"]},
        {"payment_intent_id": {"eq": rng.choice(["", "pi_1", "PI_1"])}},
        {"payment_intent_id": {"gt": rng.choice(["", "Pi", "pi_", "é"])}},
        {"payment_intent_id": {"is_null": rng.choice([True, False])}},
        {"payment_intent_id": {"contains": "_1"}},
        {"created_at": {rng.choice(["gt", "lt"]): "2026-01-01T00:00:00Z"}},
        {"customer_email": {"contains": "ben"}},
        {"any_of": [{"status": "failed"}, {"amount": {"gt": amount}}]},
    ]
    return {key: part for one in rng.sample(made, rng.choice([1, 2])) for key, part in one.items()}


async def test_a_snapshot_shows_exactly_the_rows_that_the_filter_matches(
    database: Database, running: RunningRelay
) -> None:
    """For any filter the snapshot equals the filter applied here to every row of the table."""
    rng = random.Random(59)
    users = [await student(database, f"{name}@example.com") for name in ("ben", "eva")]
    for number in range(60):
        await pay(
            database,
            rng.choice(users),
            rng.choice(AMOUNTS),
            rng.choice(STATUSES),
            stripe_payment_intent_id=rng.choice([None, f"pi_{number}", f"PI_{number}", f"é{number}"]),
        )
    await running.settle()
    services = running.daemon.services
    channel = services.channels["transactions"]
    columns = tuple(channel.columns[channel.source])
    found = await services.capture.rows(
        RowsQuery(channel.source, columns, order="id", limit=100, scan_limit=100)
    )
    everything = (await services.preparer.prepare_rows(channel, found.rows)).rows
    assert len(everything) == 60
    matched = 0
    async with connected(running.url, running.token()) as client:
        await client.take("welcome")
        for _ in range(50):
            wanted = some_filter(rng)
            view = View(channel, filters.parse(wanted, channel.visible, services.settings.limits))
            expected = {row["id"] for row in everything if view.wants(row, ())}
            await client.send(
                "subscribe", channels=["transactions"], filters={"transactions": wanted}, snapshot=100
            )
            shown = await client.take("snapshot")
            await client.take("checkpoint")
            assert {row["id"] for row in shown["rows"]} == expected, wanted
            matched += bool(expected)
    assert matched > 20, "most filters should match something, or this shows nothing"
