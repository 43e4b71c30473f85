"""Counting a full table at the start: how long until the numbers are there, and that nobody else waits for them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from websockets.asyncio.client import ClientConnection, connect

from bench.database import install, postgres
from bench.report import Goal, Table, count, verdict
from relay.config import Settings, load
from relay.daemon import Daemon
from relay.demo.postgres import Postgres
from relay.gateway.auth import mint
from relay.routing.needs import needs

__all__ = ["measure"]

#: "Seconds, not minutes".
GOAL = Goal(most=10, unit=" s")
COLUMNS = (
    "payments",
    ">clients let in after",
    ">first snapshot of 50 rows after",
    ">numbers whole after",
    "to reach",
)

FILL = """
INSERT INTO accounts_customuser (email, name, phone_number, password, is_active, is_staff, is_superuser, date_joined)
SELECT n || '@example.org', 'N', '', '', true, false, false, now() FROM generate_series(1, 1000) AS n;
INSERT INTO finances_purchasetransaction
       (student_id, transaction_type, amount, payment_status, stripe_payment_intent_id, metadata, created_at,
        updated_at)
SELECT 1 + n % 1000, 'package', (n % 20000) / 100.0,
       (ARRAY['completed', 'completed', 'completed', 'completed', 'failed', 'pending', 'refunded'])[1 + n % 7],
       'pi_' || n, '{{"plan_name": "Ten lessons"}}', now() - n * interval '90 days' / {number},
       now() - n * interval '90 days' / {number}
  FROM generate_series(1, {number}) AS n;
ANALYZE"""


async def measure(*, quick: bool = False, major: int | None = None) -> Table:
    """The table of starts: over few payments, for comparison, and over many."""
    table = Table("Start over a full table", COLUMNS)
    for number in (1_000, 200_000 if quick else 1_000_000):
        with postgres(major, flush=False) as server:
            await install(server)
            settings = _settings(server)
            await _fill(server, settings, number)
            await _start(table, settings, number)
    table.notes.append(
        "Counted from the start of the relay, inside one process with the client; spread over 90 days, a third of them "
        "within the longest window. Clients are let in before counting begins, which has a session of its own."
    )
    return table


def _settings(server: Postgres) -> Settings:
    everybody = [{"name": "everybody", "when": {}, "channels": ["*"]}]
    return load(
        None,
        {
            "RELAY_PRESET": "payments",
            "RELAY_POLICIES": json.dumps(everybody),
            "RELAY_DATABASE__DSN": server.dsn(user="relay_daemon"),
            "RELAY_AUTH__ALGORITHMS": "HS256",
            "RELAY_AUTH__AUDIENCE": "bench",
            "RELAY_AUTH__SECRETS": "a secret that signs nothing of value",
            "RELAY_SERVER__PORT": "0",
            "RELAY_SERVER__OPS_PORT": "0",
            "RELAY_SERVER__DRAIN_SECONDS": "1",
        },
    )


async def _fill(server: Postgres, settings: Settings, number: int) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as admin:
        for statement in FILL.format(number=number).split(";"):
            await admin.execute(statement.encode())
        for name, columns in needs(settings).items():
            await admin.execute("SELECT relay.watch(%s::regclass, %s)", [name, sorted(columns)])


async def _start(table: Table, settings: Settings, number: int) -> None:
    ready, stop = asyncio.Event(), asyncio.Event()
    began = time.perf_counter()
    relay = Daemon(settings)
    running = asyncio.create_task(relay.run(ready=ready.set, stop=stop))
    try:
        await asyncio.wait(
            [running, asyncio.ensure_future(ready.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        if running.done():
            running.result()
        let_in = time.perf_counter() - began
        async with _client(relay, settings) as rows, _client(relay, settings) as numbers:
            await numbers.send(json.dumps({"type": "subscribe", "channels": ["metrics"]}))
            await rows.send(json.dumps({"type": "subscribe", "channels": ["transactions"], "snapshot": 50}))
            await _until(rows, "snapshot")
            shown = time.perf_counter() - began
            await _until(numbers, "metrics_update")
            counted = time.perf_counter() - began
    finally:
        stop.set()
        await asyncio.gather(running, return_exceptions=True)
    cells = [f"{seconds:.2f} s" for seconds in (let_in, shown, counted)]
    goals = [(counted, GOAL)] if number >= 1_000_000 else []
    table.add(count(number), *cells, verdict(goals))
    table.raw[str(number)] = {"let_in_s": let_in, "snapshot_s": shown, "counted_s": counted}


@asynccontextmanager
async def _client(relay: Daemon, settings: Settings) -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{relay.port}{settings.server.paths[0]}"
    token = mint(settings.auth, "bench", 3600, {})
    async with connect(url, additional_headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


async def _until(client: ClientConnection, type: str) -> None:
    while json.loads(await client.recv())["type"] != type:
        pass
