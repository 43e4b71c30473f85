"""What watching a table costs those who write to it: payments per second with and without triggers."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench import flush, pgbench
from bench.database import age, install, postgres
from bench.report import Goal, Table, count, verdict
from bench.rounds import Rounds
from bench.variants import AWAKE, CLASSIC, DOWN, NONE, VARIANTS, Variant, create_tables, insert_into
from relay.demo.postgres import Postgres

__all__ = ["GOALS", "Load", "measure"]


@dataclass(frozen=True, slots=True)
class Load:
    """So many clients, so many rounds over all variants, so many seconds (and one to get warm) for each variant."""

    clients: int
    rounds: int
    seconds: int


FULL = (Load(1, 2, 2), Load(32, 4, 4))
QUICK = (Load(1, 1, 1), Load(32, 2, 1))

#: Goals of the design for 32 writers: share of no trigger, and times the classic trigger.
GOALS = {
    "plain": (Goal(least=55, unit=" %"), Goal(least=2.5, unit=" ×")),
    "slow": (Goal(least=90, unit=" %"), Goal(least=8, unit=" ×")),
}
HELD_TO_GOALS = (AWAKE.name, DOWN.name)

COLUMNS = ("disk", ">clients", "trigger", ">payments/s", ">of no trigger", ">× classic", "to reach")


async def measure(
    *, quick: bool = False, major: int | None = None, disks: tuple[str, ...] = ("plain", "slow")
) -> Table:
    """The table of write throughput, about one minute (quick) or six."""
    table = Table("Write throughput: one INSERT per transaction", COLUMNS)
    with tempfile.TemporaryDirectory(prefix="relay-bench-") as directory:
        for disk in disks:
            preload = None
            if disk == "slow":
                preload = flush.compile_slow_flush(Path(directory))
                if preload is None:
                    table.notes.append(
                        f"The half with a flush of about 1 ms is missing: none of {', '.join(flush.COMPILERS)} is"
                        " installed here to build it."
                    )
                    continue
            with postgres(major, preload) as server:
                await _measure_disk(table, server, disk, preload, QUICK if quick else FULL)
    table.notes.append("Medians; ratios are medians of the ratios within one round.")
    return table


async def _measure_disk(
    table: Table, server: Postgres, disk: str, preload: Path | None, loads: tuple[Load, ...]
) -> None:
    program = pgbench.find_pgbench(server.bindir)
    await install(server)
    await create_tables(server)
    await age(server, 40 if loads is QUICK else 120)
    label = f"flush {flush.flush_milliseconds(server.directory, preload):.2f} ms"
    paid = 0
    for load in loads:
        rounds = Rounds()
        for _ in range(load.rounds):
            for variant in VARIANTS:
                outcome = await _run(program, server, variant, load)
                rounds.add(variant.name, outcome.tps)
                paid += outcome.transactions if variant.table == "bench.watched" else 0
        _show(table, label, disk, load, rounds)
        table.raw.setdefault("payments_per_second", {})[f"{disk}, {load.clients} clients"] = rounds.as_json()
    await _check_events(server, paid)


async def _run(program: Path, server: Postgres, variant: Variant, load: Load) -> pgbench.Outcome:
    async with variant.company(server):
        return await pgbench.run(
            program,
            server.dsn(user="shop"),
            insert_into(variant.table),
            clients=load.clients,
            seconds=load.seconds,
        )


def _show(table: Table, label: str, disk: str, load: Load, rounds: Rounds) -> None:
    for name in rounds:
        kept, times = 100 * rounds.ratio(name, NONE.name), rounds.ratio(name, CLASSIC.name)
        held = load.clients > 1 and name in HELD_TO_GOALS
        goals = GOALS[disk] if held else ()
        table.add(
            label, str(load.clients), name, count(rounds.median(name)), f"{kept:.0f} %", f"{times:.1f}",
            verdict(list(zip((kept, times), goals, strict=False))),
        )  # fmt: skip


async def _check_events(server: Postgres, paid: int) -> None:
    """A benchmark that loses events measures nothing."""
    async with await psycopg.AsyncConnection.connect(server.dsn()) as connection:
        cursor = await connection.execute("SELECT count(*) FROM relay.event")
        row = await cursor.fetchone()
    if row is None or row[0] != paid:
        raise RuntimeError(f"{paid} payments were made, and the outbox has {row and row[0]} events")
