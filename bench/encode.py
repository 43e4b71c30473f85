"""From the outbox to encoded messages: how many events a second one relay can take in."""

from __future__ import annotations

import asyncio
import time

import psycopg

from bench.database import install, postgres
from bench.inside import CountingOutlet, channels, preparer, settings
from bench.report import Goal, Table, count, verdict
from bench.serving import CHANNEL
from bench.variants import create_tables, payments_at_once
from relay.capture.batch import Batch, CaptureStatus
from relay.capture.source import Capture
from relay.demo.postgres import Postgres
from relay.routing.hub import Hub
from relay.routing.view import View

__all__ = ["measure"]

GOAL = Goal(least=20_000, unit="/s")
COLUMNS = ("what", ">events", ">events/s", ">events/s of a core", "to reach")


async def measure(*, quick: bool = False, major: int | None = None) -> Table:
    """The table of intake: read, validated, prepared, matched with one subscriber, encoded and framed."""
    table = Table("Outbox to encoded message", COLUMNS)
    number = 40_000 if quick else 200_000
    with postgres(major) as server:
        await install(server)
        await create_tables(server)
        await _take_in(table, server, "commits of 500", number, 500)
        await _take_in(table, server, "one commit of all", number, number)
    table.notes.append(
        "What Postgres needs to find and send the rows is in events/s, and not in the relay's own processor time."
    )
    return table


async def _take_in(table: Table, server: Postgres, what: str, number: int, at_once: int) -> None:
    """Commit ``at_once`` events, wait until they are through, and so on; only the second half is timed."""
    known = channels()
    hub, prepare, outlet = Hub(known, 10_000, 10_000), preparer(known), CountingOutlet()
    hub.release(hub.join(hub.attach(outlet), View(known[CHANNEL])))
    capture = Capture(
        settings(RELAY_DATABASE__DSN=server.dsn(user="relay_daemon")), frozenset({"bench.watched"})
    )
    through, news = 0, asyncio.Event()

    async def sink(batch: Batch) -> None:
        nonlocal through
        hub.publish(await prepare.prepare(batch.changes), batch)
        through += len(batch.changes)
        news.set()

    def status(now: CaptureStatus) -> None:
        if not now.ok:
            raise RuntimeError(f"capture is degraded: {now.reason}")

    await capture.start()
    running = asyncio.create_task(capture.run(sink, status))
    wall = cpu = 0.0
    try:
        async with await psycopg.AsyncConnection.connect(server.dsn(user="shop"), autocommit=True) as shop:
            for wanted in range(at_once, number + 1, at_once):
                await shop.execute(payments_at_once("bench.watched", at_once))
                started, used = time.perf_counter(), time.process_time()
                while through < wanted:
                    news.clear()
                    await asyncio.wait(
                        [running, asyncio.ensure_future(news.wait())], return_when=asyncio.FIRST_COMPLETED
                    )
                    if running.done():
                        running.result()
                wall, cpu = wall + time.perf_counter() - started, cpu + time.process_time() - used
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    rate = number / wall
    table.add(what, count(number), count(rate), count(number / cpu), verdict([(number / cpu, GOAL)]))
    table.raw[what] = {"events": number, "wall_s": wall, "cpu_s": cpu}
