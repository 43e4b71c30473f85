"""What is in memory is what SQL says, to the cent and at any moment."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from relay.routing.aggregates.rounding import average, long_average, rate
from tests.support.counted import Clock, counted
from tests.support.database import Database
from tests.support.payment_storm import Storm
from tests.support.relay import settings_for

START = datetime(2026, 5, 4, 12, 30, 15, 250_000, tzinfo=UTC)
SEED = 20260504
WRITES = 50_000
#: What the clock does between two comparisons.
STEPS = (
    timedelta(milliseconds=1),
    timedelta(seconds=45),
    timedelta(minutes=1),
    timedelta(minutes=17),
    timedelta(hours=1),
    timedelta(hours=26),
    timedelta(days=3),
)


async def test_fifty_thousand_random_writes(database: Database) -> None:
    """While 50,000 rows over all tables come, move, are refunded, corrected, back-dated and deleted, and the clock
    passes the edges of all windows, every metric equals SQL at every comparison; tables are emptied in between."""
    clock, chance = Clock(START), random.Random(SEED)
    settings = settings_for(database.daemon_dsn)
    storms = [Storm(await database.connect(), clock, number, SEED + number) for number in (1, 2)]
    for storm in storms:
        await storm.begin()
        await storm.blow(WRITES // 100)
    async with counted(settings, clock) as aggregates, asyncio.TaskGroup() as tasks:
        await aggregates.known()
        writing = [tasks.create_task(storm.blow(WRITES // 2)) for storm in storms]
        compared, emptied = 0, False
        while not all(task.done() for task in writing):
            clock.now += chance.choice(STEPS)
            assert await aggregates.audit_all() == []
            compared += 1
            if not emptied and sum(storm.rows for storm in storms) > WRITES // 2:
                emptied = True
                await database.execute("TRUNCATE finances_webhookeventlog")
                await database.execute("TRUNCATE finances_paymentdispute")
        for _ in range(5):
            clock.now += chance.choice(STEPS)
            assert await aggregates.audit_all() == []
        assert emptied
        assert compared > 5
        assert sum(storm.rows for storm in storms) >= WRITES
        reasons = {room.aggregate.name: room.recounts for room in aggregates.aggregates}
        assert reasons == {"metrics": 1, "webhook_status": 1}


async def test_other_definitions_are_exact_too(database: Database) -> None:
    """With the settings that restore the backend's definitions, and other windows, metrics equal SQL as well."""
    tree = settings_for(database.daemon_dsn).model_dump(mode="json")["aggregates"]
    tree["metrics"]["transactions"] |= {
        "succeeded": ["completed"],
        "attempted": [],
        "pending_window": "24h",
        "average_window": "7d",
        "round_average": False,
        "trend_minutes": 1440,
        "trend_points": 30,
    }
    tree["metrics"]["alerts"]["active"] = ["active"]
    tree["webhook_status"]["webhooks"] |= {
        "response_window": "all",
        "unhealthy_minutes": 1439,
        "error_message": "",
    }
    settings = settings_for(database.daemon_dsn, aggregates=tree)
    clock = Clock(START)
    storm = Storm(await database.connect(), clock, 3, SEED)
    await storm.begin()
    await storm.blow(1500)
    async with counted(settings, clock) as aggregates:
        await aggregates.known()
        for rows in (2000, 2500, 3000):
            assert await aggregates.audit_all() == []
            await storm.blow(rows)
            clock.now += timedelta(hours=26)
        assert await aggregates.audit_all() == []


async def test_rounding_is_that_of_postgres(database: Database) -> None:
    """Rates and averages of random numbers, those at the half among them, have the very digits that Postgres gives."""
    chance = random.Random(SEED)
    parts = [
        (chance.randrange(wholes + 1), wholes) for wholes in (chance.randrange(1, 900) for _ in range(300))
    ]
    parts += [(part, 800) for part in range(100)]
    rates = await database.execute(
        "SELECT round(100.0 * part / whole, 2) FROM unnest(%s::bigint[], %s::bigint[]) AS v (part, whole)",
        *map(list, zip(*parts, strict=True)),
    )
    assert [str(value) for (value,) in rates] == [str(rate(*each)) for each in parts]
    for _ in range(100):
        digits = chance.randrange(8)
        amounts = [Decimal(chance.randrange(10**digits)).scaleb(-2) for _ in range(chance.randrange(1, 40))]
        ((exact, cents),) = await database.execute(
            "SELECT avg(a)::text, round(avg(a), 2)::text FROM unnest(%s::numeric[]) AS v (a)", amounts
        )
        assert f"{long_average(sum(amounts, Decimal(0)), len(amounts)):f}" == exact
        assert str(average(sum(amounts, Decimal(0)), len(amounts))) == cents
