"""Several relays on one outbox: one holds K, the others wait behind it, and each reads everything."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.test_capture_gate import SLEEPY, A, exclusive_locks, healthy
from tests.support.capture import capturing, make_table
from tests.support.database import Database
from tests.support.waiting import eventually

#: A relay of its own process, which sleeps until it is told to end.
SLEEPER = """
import asyncio, json, sys
from relay.capture.source import Capture
from relay.config import Settings

async def main():
    settings = Settings.model_validate(json.loads(sys.argv[1]))
    capture = Capture(settings, frozenset({"public.a"}))
    await capture.start()
    async def sink(batch): print(*[change.id for change in batch.changes], flush=True)
    await capture.run(sink, lambda status: None)

asyncio.run(main())
"""


@contextmanager
def relay_process(dsn: str) -> Iterator[subprocess.Popen[bytes]]:
    """A relay that runs elsewhere, and that can be frozen."""
    settings = json.dumps({"database": {"dsn": dsn}, "capture": dict(SLEEPY)})
    with subprocess.Popen([sys.executable, "-c", SLEEPER, settings], stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


async def test_two_relays_sleep_and_both_wake(database: Database) -> None:
    """One holds K, the other waits behind it and sleeps too; one commit wakes both, and each reads it once."""
    await make_table(database, "a")
    async with (
        capturing(database.daemon_dsn, A, capture=SLEEPY) as one,
        capturing(database.daemon_dsn, A, capture=SLEEPY) as two,
    ):
        for number in range(5):
            await eventually(lambda: one.state == two.state == "asleep")
            await database.execute("INSERT INTO a (v) VALUES (%s)", str(number))
            await one.sees(A, str(number))
            await two.sees(A, str(number))
        healthy(one)
        healthy(two)
        assert one.capture.stats.wakes
        assert two.capture.stats.wakes


async def test_a_third_relay_changes_nothing(database: Database) -> None:
    """With three relays two wait in line; commits that come at any moment reach all of them, announced."""
    await make_table(database, "a")
    async with (
        capturing(database.daemon_dsn, A, capture=SLEEPY) as one,
        capturing(database.daemon_dsn, A, capture=SLEEPY) as two,
        capturing(database.daemon_dsn, A, capture=SLEEPY) as three,
    ):
        relays = (one, two, three)
        writer = await database.connect()
        for pause in [number * 7 % 50 for number in range(60)]:
            await writer.execute("SELECT pg_sleep(%s::float / 1000)", (pause,))
            await writer.execute("INSERT INTO a (v) VALUES ('x')")
        await asyncio.gather(*(relay.caught_up(database) for relay in relays))
        await eventually(lambda: all(relay.state == "asleep" for relay in relays))
        for relay in relays:
            assert len(relay.ids) == 60
            healthy(relay)


async def test_the_one_behind_takes_over(database: Database) -> None:
    """When the relay that holds K goes away, the one behind gets K and misses nothing."""
    await make_table(database, "a")
    async with capturing(database.daemon_dsn, A, capture=SLEEPY) as two:
        async with capturing(database.daemon_dsn, A, capture=SLEEPY) as one:
            await eventually(lambda: one.state == two.state == "asleep")
        await database.execute("INSERT INTO a (v) VALUES ('x')")
        await eventually(lambda: two.values(A) == ["x"])
        await two.asleep()
        await eventually(lambda: holds_alone(database))
        healthy(two)


async def holds_alone(database: Database) -> bool:
    """Whether one relay holds K and none waits."""
    return await exclusive_locks(database) == [True]


async def test_a_frozen_relay_loses_k_and_others_miss_nothing(database: Database) -> None:
    """A relay that is stopped in its sleep keeps writers notifying for five seconds at most; the other reads on."""
    await make_table(database, "a")
    with relay_process(database.daemon_dsn) as frozen:
        await eventually(lambda: holds_alone(database))
        async with capturing(database.daemon_dsn, A, capture=SLEEPY) as seen:
            await seen.asleep()
            os.kill(frozen.pid, signal.SIGSTOP)
            await database.execute("INSERT INTO a (v) VALUES ('while it holds')")
            await eventually(lambda: seen.values(A) == ["while it holds"])
            await eventually(lambda: one_gate_session(database))
            await seen.asleep()
            await database.execute("INSERT INTO a (v) VALUES ('after')")
            await eventually(lambda: seen.values(A) == ["while it holds", "after"])
            await seen.asleep()
            healthy(seen)


async def one_gate_session(database: Database) -> bool:
    """Whether only one gate session is left."""
    rows = await database.execute(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'relay gate'"
    )
    return len(rows) == 1
