"""Runs pgbench and reads what it prints."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["Outcome", "environment", "find_pgbench", "parse", "run"]

#: How much longer than asked for a run may take before it is given up.
GRACE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run did: ``tps`` once it was warm, ``transactions`` in all, how many ``failed``."""

    tps: float
    transactions: int
    failed: int


def find_pgbench(bindir: Path) -> Path:
    """The one beside the server, else the newest of the system. FileNotFoundError says what to install."""
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), key=lambda p: -int(p.parts[-3]))
    found = shutil.which("pgbench")
    for candidate in (bindir / "pgbench", *system, *([Path(found)] if found else [])):
        if os.access(candidate, os.X_OK):
            return candidate
    raise FileNotFoundError(f"there is no pgbench in {bindir} nor on this system: install postgresql-contrib")


def parse(summary: str, progress: str) -> Outcome:
    """Read what pgbench prints (in the same words from PostgreSQL 14 to 18) to standard output and standard error.

    The first second is left out of ``tps``: new sessions look up tables and compile triggers in it, and those of a
    backend live long. ValueError names what is missing.
    """

    def number(name: str, default: str | None = None) -> int:
        found = re.search(rf"^number of {name}: ([0-9]+)", summary, re.MULTILINE)
        if found is None and default is None:
            raise ValueError(
                f"pgbench did not print the number of {name}: {summary.strip()[-200:] or 'nothing'}"
            )
        return int(found[1] if found else default or "")

    seconds = [
        float(tps) for tps in re.findall(r"^progress: [0-9.]+ s, ([0-9.]+) tps", progress, re.MULTILINE)
    ]
    if len(seconds) < 2:
        raise ValueError(
            f"pgbench printed {len(seconds)} lines of progress, too few to leave out the first second"
        )
    return Outcome(
        tps=statistics.fmean(seconds[1:]),
        transactions=number("transactions actually processed"),
        # Version 14 does not retry, and so does not print how many failed for good.
        failed=number("failed transactions", "0"),
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
    """Run ``script``, one transaction a statement, for a second to get warm and ``seconds`` that count.

    With ``rate`` so many transactions a second are begun, at random moments, else as many as possible.

    RuntimeError quotes pgbench if it fails.
    """
    arguments: dict[str, object] = {
        "client": clients,
        "jobs": min(clients, os.cpu_count() or 1),
        "time": seconds + 1,
        "progress": 1,
        # Each statement is sent as text, and parsed and planned, as Django's are.
        "protocol": "simple",
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
    outcome = parse(output.decode(), complaints.decode())
    if outcome.failed:
        raise RuntimeError(f"{outcome.failed} transactions failed: {last}")
    return outcome
