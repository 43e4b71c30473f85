"""What a subscription costs: memory for one that is idle, and time per event for many with different filters."""

from __future__ import annotations

import time

import psutil

from bench.crowd import crowd
from bench.database import install, postgres
from bench.inside import CountingOutlet, batch_of, channels, payments, preparer, settings
from bench.report import Goal, Table, count, verdict
from bench.serving import CHANNEL, serving
from bench.variants import create_tables
from relay.routing import filters
from relay.routing.hub import Hub
from relay.routing.view import View

__all__ = ["measure"]

IDLE_CLIENTS = 1000
#: (filters, subscriptions with each). An event matches one filter of them.
CROWDS = ((100, 10), (1000, 10), (1000, 100))
EVENTS = 4000

MEMORY = Goal(most=16, unit=" KB")
NO_DEARER = Goal(most=1.5, unit=" × of a tenth of the filters")

COLUMNS = ("what", ">number", ">matches per event", ">cost", "to reach")


async def measure(*, quick: bool = False, major: int | None = None) -> Table:
    """The table of what subscriptions cost."""
    table = Table("Subscriptions", COLUMNS)
    costs = {}
    for different, each in CROWDS:
        costs[different, each] = cost = await _cost_of_an_event(
            different, each, EVENTS if quick else 5 * EVENTS
        )
        held = (different, each) == (1000, 10)
        table.add(
            f"subscriptions with {different:,} different filters", count(different * each), str(each),
            f"{cost:.0f} µs per event", verdict([(cost / costs[100, 10], NO_DEARER)] if held else []),
        )  # fmt: skip
    with postgres(major) as server:
        await install(server)
        await create_tables(server)
        async with serving(server) as relay:
            process = psutil.Process(relay.pid)
            async with crowd(relay, IDLE_CLIENTS // 10):  # what is allocated once, for whoever comes first
                pass
            before = process.memory_info().rss
            async with crowd(relay, IDLE_CLIENTS):
                kilobytes = (process.memory_info().rss - before) / 1024 / IDLE_CLIENTS
    table.add(
        "idle authenticated subscribers", count(IDLE_CLIENTS), "—", f"{kilobytes:.1f} KB each",
        verdict([(kilobytes, MEMORY)]),
    )  # fmt: skip
    table.raw = {
        "microseconds": {f"{a} x {b}": cost for (a, b), cost in costs.items()},
        "kilobytes": kilobytes,
    }
    table.notes.append(
        "Time is the processor time to prepare, match, encode and offer, in batches of ten events."
    )
    return table


async def _cost_of_an_event(different: int, each: int, events: int) -> float:
    known = channels()
    hub, prepare = Hub(known, ring_events=1000, held_events=1000), preparer(known)
    outlets = []
    for number in range(different):
        filter = filters.parse({"student_id": number}, known[CHANNEL].visible, settings().limits)
        for _ in range(each):
            outlets.append(outlet := CountingOutlet())
            hub.release(hub.join(hub.attach(outlet), View(known[CHANNEL], filter)))
    changes = [
        change for change in payments(1, events * 5) if change.new and change.new["student_id"] < different
    ]
    changes = (changes * (events // len(changes) + 1))[:events]
    batches = [batch_of(changes[n : n + 10]) for n in range(0, len(changes), 10)]
    used = time.process_time()
    for batch in batches:
        hub.publish(await prepare.prepare(batch.changes), batch)
    used = time.process_time() - used
    if sum(outlet.writes for outlet in outlets) == 0:
        raise RuntimeError("no filter matched anything")
    return used / len(changes) * 1e6
