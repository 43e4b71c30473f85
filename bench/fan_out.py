"""How many messages a relay hands to its subscribers in a second of one core."""

from __future__ import annotations

import time

import psutil
import psycopg

from bench.crowd import crowd
from bench.database import install, postgres
from bench.django_channels import deliveries_per_core_second
from bench.inside import CountingOutlet, batch_of, channels, payments, preparer
from bench.report import Goal, Table, count, verdict
from bench.serving import CHANNEL, NEVER_ASLEEP_MS, serving
from bench.variants import create_tables, payments_at_once
from relay.demo.postgres import Postgres
from relay.routing.hub import Hub
from relay.routing.view import View

__all__ = ["measure"]

CLIENTS = 1000
#: From so many events at once on it is a burst, and held to the goals.
BURST = 100
GOAL = Goal(least=1_000_000, unit="/s")
TIMES_CHANNELS = Goal(least=100, unit=" × Django Channels")

COLUMNS = ("what", ">events per burst", ">deliveries", ">deliveries/s of a core", ">deliveries/s", "to reach")


async def measure(*, quick: bool = False, major: int | None = None) -> Table:
    """The table of fan-out: in memory, and to real sockets."""
    table = Table(f"Fan-out to {CLIENTS:,} clients of one channel, in bursts", COLUMNS)
    channels_rate = await _django_channels(table, 5 if quick else 20)
    for size in (1, 10, 100, 1000):
        await _in_memory(table, size, 2_000_000 if quick else 10_000_000, channels_rate)
    with postgres(major) as server:
        await install(server)
        await create_tables(server)
        await _to_sockets(table, server, 3 if quick else 10, channels_rate)
    table.notes.append(
        "A core's second is a second of the relay's own processor time. In memory: prepare, match, encode, frame, and"
        " offer to outlets that count. Sockets: a relay process from the outbox to the system call; the clients are in"
        " another process, and their reading, like Postgres, is only in the last but one column."
    )
    return table


async def _django_channels(table: Table, times: int) -> float | None:
    rate = await deliveries_per_core_second({"row": payments(1, 1)[0].new}, CLIENTS, times)
    if rate is None:
        table.notes.append(
            "Django Channels is not installed (`pip install channels`), so its row is missing."
        )
    else:
        table.add("Django Channels, in memory", "1", count(times * CLIENTS), count(rate), "—", "—")
    return rate


async def _in_memory(table: Table, size: int, deliveries: int, channels_rate: float | None) -> None:
    known = channels()
    hub, prepare = Hub(known, ring_events=10_000, held_events=10_000), preparer(known)
    outlets = [CountingOutlet() for _ in range(CLIENTS)]
    for outlet in outlets:
        hub.release(hub.join(hub.attach(outlet), View(known[CHANNEL])))
    bursts = max(1, deliveries // (CLIENTS * size))
    batches = [batch_of(payments(1 + n * size, size)) for n in range(bursts)]
    wall, cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        hub.publish(await prepare.prepare(batch.changes), batch)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    done = bursts * size * CLIENTS
    if any(outlet.messages != bursts * (size + 1) for outlet in outlets):
        raise RuntimeError("an outlet was not offered everything")
    _show(table, "in memory", size, done, cpu, wall, channels_rate)


async def _to_sockets(table: Table, server: Postgres, bursts: int, channels_rate: float | None) -> None:
    size = 1000
    async with (
        serving(server, idle_after_ms=NEVER_ASLEEP_MS) as relay,
        crowd(relay, CLIENTS) as people,
        await psycopg.AsyncConnection.connect(server.dsn(user="shop"), autocommit=True) as shop,
    ):
        process = psutil.Process(relay.pid)
        wall = cpu = 0.0
        for burst in range(bursts + 1):
            started, used = time.perf_counter(), _used(process)
            await shop.execute(payments_at_once("bench.watched", size))
            await people.ask("await", size)
            if burst:  # the first one is for warming up
                wall, cpu = wall + time.perf_counter() - started, cpu + _used(process) - used
    _show(
        table, "sockets, from commit to all have it", size, bursts * size * CLIENTS, cpu, wall, channels_rate
    )


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _show(
    table: Table, what: str, size: int, deliveries: int, cpu: float, wall: float, channels: float | None
) -> None:
    rate = deliveries / cpu
    goals = [(rate, GOAL)] if size >= BURST else []
    if goals and channels is not None:
        goals.append((rate / channels, TIMES_CHANNELS))
    table.add(what, count(size), count(deliveries), count(rate), count(deliveries / wall), verdict(goals))
    table.raw[f"{what}, bursts of {size}"] = {"deliveries": deliveries, "cpu_s": cpu, "wall_s": wall}
