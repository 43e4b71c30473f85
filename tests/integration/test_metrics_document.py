"""docs/metrics.md says what the relay counts: every number it shows, with SQL that gives the same."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from relay.routing.aggregates.audit import differences
from relay.routing.aggregates.minutes import minute_at
from tests.support.counted import Clock, Counted, counted
from tests.support.database import Database
from tests.support.payment_storm import Storm
from tests.support.relay import settings_for

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
HOURS = {"24h": "24 hours", "7d": "168 hours", "30d": "720 hours"}
SERIES = ("transactions", "revenue", "success_rate")


def queries() -> dict[str, str]:
    """By name, the SQL of every number; a heading with several names gives one statement for each window."""
    found = {}
    for chapter in DOCUMENT.read_text().split("\n### ")[1:]:
        names = re.findall(r"`(\w+)`", chapter.splitlines()[0])
        block = re.search(r"```sql\n(.*?)\n```", chapter.split("\n## ")[0], re.DOTALL)
        for name in names:
            sql = block[1] if block else "SELECT NULL"
            if len(names) > 1:
                sql = sql.replace("'24 hours'", f"'{HOURS[name.rpartition('_')[2]]}'")
            found[name] = sql
    return found


async def documented(connection: psycopg.AsyncConnection[Any]) -> dict[str, dict[str, Any]]:
    """What the statements of the document give, all of them under one snapshot and at one moment."""
    answer: dict[str, dict[str, Any]] = {"metrics": {}, "trend_data": {}, "webhook_status": {}}
    for name, sql in queries().items():
        rows = await (await connection.execute(sql.encode())).fetchall()
        if name in SERIES:
            answer["trend_data"][name] = [{"timestamp": row[0], "value": row[1]} for row in rows]
        else:
            section = "metrics" if name in METRICS else "webhook_status"
            answer[section][name] = rows[0][0] if rows else None
    answer["webhook_status"]["endpoint_url"] = "/api/finances/webhooks/stripe/"
    return answer


METRICS = {
    *(
        f"{name}_{window}"
        for name in ("success_rate", "total_transactions", "total_revenue")
        for window in HOURS
    ),
    "average_transaction_value",
    "failed_transactions_24h",
    "pending_transactions",
    "stuck_transactions",
    "active_disputes",
    "fraud_alerts",
}


async def shown(aggregates: Counted) -> dict[str, dict[str, Any]]:
    """What both aggregates hold after the next poll, before the last error is scanned for what must not leave."""
    await aggregates.capture.poll_now()
    values: dict[str, dict[str, Any]] = {}
    for room in aggregates.aggregates:
        assert room.count is not None
        assert room.count.engine is not None
        values |= {name: dict(section) for name, section in room.count.engine.values().items()}
    return values


async def test_the_sql_of_the_document_gives_what_is_shown(database: Database) -> None:
    """Every number that is shown is documented, every documented one is shown, and the SQL gives the very same."""
    reader = await database.connect()
    ((now,),) = await database.execute("SELECT now()")
    clock = Clock(now)
    storm = Storm(await database.connect(), clock, 1, 7)
    await storm.begin()
    await storm.blow(3000)
    # The document leaves out what no backend writes: times that are none.
    await database.execute("DELETE FROM finances_webhookeventlog WHERE NOT isfinite(processed_at)")
    await database.execute(
        "UPDATE finances_webhookeventlog SET created_at = now() WHERE NOT isfinite(created_at)"
    )
    async with counted(settings_for(database.daemon_dsn), clock) as aggregates:
        await aggregates.known()
        for _ in range(3):
            async with reader.transaction():
                await reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                ((clock.now,),) = await (await reader.execute("SELECT now()")).fetchall()
                answer = await documented(reader)
            values = await shown(aggregates)
            assert differences(values, answer) == []
            assert minute_at(clock.now) >= minute_at(now)
    assert isinstance(answer["metrics"]["total_revenue_30d"], Decimal)
    assert answer["metrics"]["total_revenue_30d"] > 0
    assert answer["webhook_status"]["error_message_last"] is not None
