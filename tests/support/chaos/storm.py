"""One storm from beginning to end, and the report of what was wrong in it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from pydantic import SecretStr

from relay.config_auth import AuthSettings
from relay.demo.postgres import Postgres
from relay.gateway.auth import mint
from tests.support.chaos import journal
from tests.support.chaos.plan import Plan
from tests.support.chaos.referee import judge, read_outbox
from tests.support.chaos.relays import Relay, relays
from tests.support.chaos.report import report
from tests.support.chaos.scene import FILTERS, SECRET, Filter, prepare
from tests.support.chaos.subscribers import Subscriber
from tests.support.chaos.troubles import Troubles
from tests.support.database import Database, create_database
from tests.support.waiting import eventually

__all__ = ["Outcome", "storm"]

ROOT = Path(__file__).parents[3]
#: Seconds that everybody may take to catch up when the storm is over.
CALM = 60.0


@dataclass(frozen=True)
class Outcome:
    """``events`` in the outbox; ``report`` of what was wrong, empty if nothing was."""

    events: int
    report: str
    summary: str


async def storm(plan: Plan, server: Postgres, directory: Path) -> Outcome:
    """Run ``plan`` on a new database of ``server``. Logs and the journal stay in ``directory``."""
    print(plan)
    database = await create_database(server)
    try:
        await prepare(database)
        if not await database.execute("SELECT FROM pg_roles WHERE rolname = 'relay_daemon'"):
            await database.execute(f"CREATE ROLE relay_daemon LOGIN PASSWORD '{server.password}'")
        await database.execute("GRANT relay_reader TO relay_daemon")
        return await _storm(plan, server, database, directory)
    finally:
        await database.close()


async def _storm(plan: Plan, server: Postgres, database: Database, directory: Path) -> Outcome:
    wrong: list[str] = []
    async with relays(plan, database, directory) as fleet:
        subscribers = _subscribers(plan, fleet)
        troubles = Troubles(plan, server, database, fleet)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(each.run()) for each in subscribers]
            for each in subscribers:
                await asyncio.wait_for(each.started.wait(), CALM)
            raging = group.create_task(troubles.run())
            await _write(plan, database, directory)
            troubles.stop()
            await raging
            for relay in fleet:
                await eventually(relay.ready, within=CALM)
            until = await _now(database)
            for number, each in enumerate(subscribers):
                each.finish(until, fleet[number % len(fleet)])
            _, late = await asyncio.wait(running, timeout=CALM)
            for task in late:
                task.cancel()
        wrong += [f"{each.name} did not catch up" for each in subscribers if not each.finished]
        for relay in fleet:
            unannounced = await relay.unannounced()
            wrong += [f"relay {relay.number}: {unannounced:g} events unannounced"] if unannounced else []
    wrong += [f"relay {relay.number}: {line}" for relay in fleet for line in relay.complaints()]
    records = journal.read(directory / "journal")
    await database.close()  # Postgres may have been killed since its connection was opened
    outbox = await read_outbox(database)
    wrong += judge(outbox, records, subscribers)
    summary = _summary(plan, len(outbox.events), fleet, subscribers, troubles)
    print(summary)
    found = report(plan, wrong, subscribers, troubles, fleet) if wrong else ""
    return Outcome(len(outbox.events), found, summary)


async def _write(plan: Plan, database: Database, directory: Path) -> None:
    order = {
        "dsn": database.dsn,
        "seed": plan.seed,
        "writers": plan.writers,
        "seconds": plan.seconds,
        "events": plan.events,
        "forgetful": plan.forgetful,
        "journal": str(directory / "journal"),
    }
    with (directory / "writers.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.chaos.writers",
            cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(order).encode() + b"\n")
            code = await asyncio.wait_for(process.wait(), plan.seconds + CALM)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert code == 0, (directory / "writers.log").read_text()[-3000:]


def _subscribers(plan: Plan, fleet: Sequence[Relay]) -> list[Subscriber]:
    token = mint(
        AuthSettings(algorithms=("HS256",), secrets=(SecretStr(SECRET),), audience="storm"), "ana", 36_000, {}
    )
    dice = plan.dice("subscribers")
    everything: dict[str, Filter | None] = {
        "accounts": None,
        "payments": None,
        "postings": None,
        "items": None,
    }
    casts: list[tuple[str, dict[str, Filter | None], dict[str, bool]]] = [
        ("all", everything, {}),
        ("all but items", {"accounts": None, "payments": None, "amounts": None, "postings": None}, {}),
        ("accounts", {"accounts": None}, {}),
        ("slow", dict(everything), {"slow": True}),
        ("filtered", {name: dice.choice(choices) for name, choices in FILTERS.items()}, {}),
        ("forgetful", {"payments": dice.choice(FILTERS["payments"]), "accounts": None}, {"forgetful": True}),
        ("forgetful with items", {"items": None, "postings": None, "payments": None}, {"forgetful": True}),
    ]
    return [
        Subscriber(name, channels, plan.dice(f"subscriber {name}"), fleet, token, **more)
        for name, channels, more in casts
    ]


async def _now(database: Database) -> datetime:
    # Not through the database's own connection: Postgres may have been killed since it was opened.
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
        assert row is not None
        now: datetime = row[0]
        return now


def _summary(
    plan: Plan, events: int, fleet: Sequence[Relay], subscribers: Sequence[Subscriber], troubles: Troubles
) -> str:
    resyncs: dict[str, int] = {}
    for each in subscribers:
        for reason, count in each.memory.resyncs.items():
            resyncs[reason] = resyncs.get(reason, 0) + count
    unbroken = sum(
        len(watched.lives) == 1 for each in subscribers for watched in each.memory.channels.values()
    )
    return (
        f"{events} events, {len(troubles.log)} troubles, {sum(relay.starts for relay in fleet)} starts of relays, "
        f"{sum(each.sessions for each in subscribers)} sessions, resyncs {resyncs}, {unbroken} channels unbroken, "
        f"{sum(each.memory.repeated for each in subscribers)} repeated and dropped"
    )
