"""Runs pgbench and reads what it prints."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["Outcome", "environment", "find_pgbench", "parse", "run"]

#: How much longer than asked for a run may take before it is given up.
GRACE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run did: transactions per second once connected, how many there were, and their mean latency."""

    tps: float
    transactions: int
    failed: int
    latency_ms: float


def find_pgbench(bindir: Path) -> Path:
    """The one beside the server, else the newest of the system. FileNotFoundError says what to install."""
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), key=lambda p: -int(p.parts[-3]))
    found = shutil.which("pgbench")
    for candidate in (bindir / "pgbench", *system, *([Path(found)] if found else [])):
        if os.access(candidate, os.X_OK):
            return candidate
    raise FileNotFoundError(f"there is no pgbench in {bindir} nor on this system: install postgresql-contrib")


def parse(output: str) -> Outcome:
    """Read pgbench's summary (the same words from PostgreSQL 14 to 18). ValueError names what is missing."""

    def number(name: str, pattern: str, default: str | None = None) -> float:
        found = re.search(pattern, output, re.MULTILINE)
        if found is None and default is None:
            raise ValueError(f"pgbench did not print its {name}: {output.strip()[-200:] or 'nothing at all'}")
        return float(found[1] if found else default or "")

    return Outcome(
        tps=number("rate", r"^tps = ([0-9.]+) \(without initial connection time\)"),
        transactions=int(number("transactions", r"^number of transactions actually processed: ([0-9]+)")),
        # Version 14 does not retry, and so does not print how many failed for good.
        failed=int(number("failures", r"^number of failed transactions: ([0-9]+)", "0")),
        latency_ms=number("latency", r"^latency average = ([0-9.]+) ms"),
    )


def environment(dsn: str) -> dict[str, str]:
    """``dsn`` (a URL) as variables that libpq reads: a password in an argument would show in ``ps``."""
    url = urlsplit(dsn)
    return {
        "PGHOST": url.hostname or "",
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username or "",
        "PGPASSWORD": url.password or "",
        "PGDATABASE": url.path.lstrip("/"),
    }


async def run(
    program: Path, dsn: str, script: str, *, clients: int, seconds: int, rate: int | None = None
) -> Outcome:
    """Run ``script``, one transaction a statement, over and over; with ``rate`` so many a second, at random moments.

    RuntimeError quotes pgbench if it fails.
    """
    arguments: dict[str, object] = {
        "client": clients,
        "jobs": min(clients, os.cpu_count() or 1),
        "time": seconds,
        # Parsing and planning would be most of the work, and hide what a trigger adds.
        "protocol": "prepared",
        "file": "-",
    }
    if rate is not None:
        arguments["rate"] = rate
    process = await asyncio.create_subprocess_exec(
        program, "--no-vacuum", *(f"--{name}={value}" for name, value in arguments.items()),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment(dsn)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(seconds + GRACE_SECONDS):
            output, complaints = await process.communicate(script.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    last = complaints.decode(errors="replace").strip()[-500:]
    if process.returncode != 0:
        raise RuntimeError(f"pgbench failed: {last}")
    outcome = parse(output.decode())
    if outcome.failed:
        raise RuntimeError(f"{outcome.failed} transactions failed: {last}")
    return outcome
