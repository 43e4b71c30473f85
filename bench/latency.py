"""How long a payment takes from the database to a dashboard."""

from __future__ import annotations

import statistics
from pathlib import Path

import psycopg

from bench import pgbench
from bench.crowd import crowd
from bench.database import install, postgres
from bench.report import Goal, Table, verdict
from bench.serving import serving, until_asleep
from bench.variants import create_tables, insert_into, payments_at_once
from relay.demo.postgres import Postgres

__all__ = ["measure"]

CLIENTS = 100
EVENTS_PER_SECOND = 1000
WRITERS = 4

STEADY_P50, STEADY_P99 = Goal(most=5, unit=" ms"), Goal(most=25, unit=" ms")
IDLE_P50 = Goal(most=2, unit=" ms")

COLUMNS = ("what", ">p50", ">p99", ">receipts", "to reach")


async def measure(*, quick: bool = False, major: int | None = None) -> Table:
    """The table of latencies, from the commit to the arrival at a client."""
    table = Table("Latency: from the commit to the arrival at a client", COLUMNS)
    # There is no clock at which a transaction becomes visible. The trigger's is just before its commit, and what lies
    # between them is the flush, which says more about the disk than about a relay; so there is none.
    with postgres(major, flush=False) as server:
        await install(server)
        await create_tables(server)
        await _steady(table, server, 5 if quick else 15)
        await _idle(table, server, 10 if quick else 40)
    table.notes.append(
        "Counted from `clock_timestamp()` in the trigger, on a server that does not flush: add what a flush of the disk"
        " takes. Clients, load and Postgres share the cores with the relay."
    )
    return table


async def _steady(table: Table, server: Postgres, seconds: int) -> None:
    program = pgbench.find_pgbench(server.bindir)
    async with serving(server) as relay, crowd(relay, CLIENTS, dated=True) as people:
        # First until plans, caches and code paths are warm.
        await people.ask("await", await _write(program, server, 2))
        await people.ask("latencies")
        written = await _write(program, server, seconds)
        await people.ask("await", written)
        seen = await people.ask("latencies")
    p50, p99 = seen["p50"] * 1000, seen["p99"] * 1000
    table.add(
        f"steady {EVENTS_PER_SECOND:,} events/s to {CLIENTS} clients", f"{p50:.1f} ms", f"{p99:.1f} ms",
        f"{seen['count']:,} of {written * CLIENTS:,}", verdict([(p50, STEADY_P50), (p99, STEADY_P99)]),
    )  # fmt: skip
    table.raw["steady"] = seen | {"written": written}


async def _write(program: Path, server: Postgres, seconds: int) -> int:
    outcome = await pgbench.run(
        program, server.dsn(user="shop"), insert_into("bench.watched"),
        clients=WRITERS, seconds=seconds, rate=EVENTS_PER_SECOND,
    )  # fmt: skip
    return outcome.transactions


async def _idle(table: Table, server: Postgres, times: int) -> None:
    ages = []
    async with (
        serving(server) as relay,
        crowd(relay, 1, dated=True) as people,
        await psycopg.AsyncConnection.connect(server.dsn(user="shop"), autocommit=True) as shop,
    ):
        for _ in range(times):
            await until_asleep(server)
            await shop.execute(payments_at_once("bench.watched", 1))
            await people.ask("await", 1)
            ages.append((await people.ask("latencies"))["p50"] * 1000)
    p50 = statistics.median(ages)
    table.add(
        "one event while the relay sleeps, one client", f"{p50:.1f} ms", f"{max(ages):.1f} ms (max)",
        f"{len(ages)}", verdict([(p50, IDLE_P50)]),
    )  # fmt: skip
    table.raw["idle_ms"] = ages
