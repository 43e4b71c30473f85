"""The JavaScript client against a real relay: what it was given is what was committed, whatever the network does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.javascript import JavaScript, javascript
from tests.support.payments import move, pay, student
from tests.support.proxy import TcpProxy
from tests.support.relay import RunningRelay, running_relay, settings_for
from tests.support.waiting import eventually

#: Whoever loses the connection all the time connects all the time.
UNLIMITED = {
    f"{what}_per_minute_per_{whom}": 100_000
    for what in ("connects", "polls")
    for whom in ("subject", "address")
}


@pytest.fixture
async def running(database: Database) -> AsyncIterator[RunningRelay]:
    """A relay with the demo's channels and policies."""
    async with running_relay(settings_for(database.daemon_dsn, limits=UNLIMITED)) as relay:
        yield relay


async def outbox(database: Database, source: str) -> list[str]:
    """The ids of everything recorded of one table."""
    rows = await database.execute("SELECT id FROM relay.event WHERE source = %s ORDER BY id", source)
    return [str(id) for (id,) in rows]


async def table(database: Database) -> dict[str, tuple[str, str]]:
    """What a complete list of payments shows: amount and status by id."""
    rows = await database.execute("SELECT id, amount, payment_status FROM finances_purchasetransaction")
    shown = {"completed": "succeeded", "cancelled": "canceled"}
    return {str(id): (str(amount), shown.get(status, status)) for id, amount, status in rows}


async def shown(program: JavaScript, name: str = "list") -> dict[str, tuple[str, str]]:
    """The same, as a live list has it."""
    return {row["id"]: (row["amount"], row["status"]) for row in (await program.read(name))["rows"]}


async def write(database: Database, user: int, dice: random.Random, count: int) -> None:
    """A writer among others: payments come, change and go."""
    mine: list[int] = []
    connection = await database.connect()
    for _ in range(count):
        match dice.choice(["pay", "pay", "move", "delete", "nothing"]):
            case "pay":
                mine.append(await pay(database, user, f"{dice.randint(1, 500)}.{dice.randint(0, 99):02}"))
            case "move" if mine:
                await move(database, dice.choice(mine), dice.choice(["completed", "failed", "processing"]))
            case "delete" if mine:
                gone = mine.pop(dice.randrange(len(mine)))
                await database.execute("DELETE FROM finances_purchasetransaction WHERE id = %s", gone)
            case _:
                await connection.execute("SELECT 1")
        await asyncio.sleep(dice.random() * 0.01)


async def test_what_a_client_shows_is_what_is_in_the_table(running: RunningRelay, database: Database) -> None:
    """A live list begins with a snapshot and follows every change without asking again."""
    user = await student(database)
    first = await pay(database, user)
    async with javascript(running.url, running.token) as program:
        program.do("list", name="list", channel="transactions")
        await program.becomes("live")
        assert list(await shown(program)) == [str(first)]
        await pay(database, user)
        await move(database, first, "completed")

        async def same() -> bool:
            return await shown(program) == await table(database)

        await eventually(same)
        assert (await program.read("list"))["truncated"] is False


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_event_is_lost_or_repeated_through_a_network_that_is_cut_at_random(
    database: Database, seed: int
) -> None:
    """Through a dozen cuts at random moments among writers, each event comes once and the list equals the table."""
    dice = random.Random(seed)
    user = await student(database)
    async with (
        running_relay(settings_for(database.daemon_dsn, limits=UNLIMITED)) as running,
        TcpProxy.before(running.url) as proxy,
        javascript(
            proxy.through(running.url), running.token, connectTimeoutMs=2000, fallback=False
        ) as program,
    ):
        program.do("list", name="list", channel="transactions", options={"limit": 500})
        program.do("subscribe", name="events", channel="transactions")
        await program.becomes("live")
        before = set(await outbox(database, "public.finances_purchasetransaction"))

        async def cuts() -> None:
            for _ in range(12):
                await asyncio.sleep(dice.random() * 0.2)
                await proxy.cut()
                await asyncio.sleep(dice.random() * 0.05)
                await proxy.restore()

        async with asyncio.TaskGroup() as group:
            group.create_task(cuts())
            for _ in range(3):
                group.create_task(write(database, user, random.Random(dice.random()), 100))

        committed = await outbox(database, "public.finances_purchasetransaction")
        wanted = [id for id in committed if id not in before]

        def all_there() -> bool:
            return set(program.ids("events")) >= set(wanted)

        await eventually(all_there)
        await program.becomes("live")
        assert sorted(program.ids("events"), key=int) == wanted
        assert await shown(program) == await table(database)
        assert program.of("reset", name="events") == []
        assert len(program.of("status", state="stale")) > 3


async def test_no_event_is_lost_or_repeated_on_the_way_between_websocket_and_polls(
    database: Database,
) -> None:
    """While WebSocket comes and goes and the network is cut, a client that polls in between gets each event once."""
    dice = random.Random(3)
    user = await student(database)
    options: dict[str, Any] = {
        "connectTimeoutMs": 2000,
        "wayBackMs": 150,
        "backoff": {"initialMs": 10, "maxMs": 50},
    }
    async with (
        running_relay(settings_for(database.daemon_dsn, limits=UNLIMITED)) as running,
        TcpProxy.before(running.url) as proxy,
        javascript(proxy.through(running.url), running.token, **options) as program,
    ):
        program.do("list", name="list", channel="transactions", options={"limit": 500})
        program.do("subscribe", name="events", channel="transactions")
        await program.becomes("live")
        before = set(await outbox(database, "public.finances_purchasetransaction"))

        async def trouble() -> None:
            for network in ("dropped", "open", "blocked", "open", "dropped", "open"):
                program.do("network", **{"is": network})
                await proxy.cut()
                await proxy.restore()
                wanted = "websocket" if network == "open" else "polling"
                await eventually(lambda wanted=wanted: program.status["transport"] == wanted)
                await asyncio.sleep(dice.random() * 0.4)

        async with asyncio.TaskGroup() as group:
            group.create_task(trouble())
            for _ in range(3):
                group.create_task(write(database, user, random.Random(dice.random()), 250))

        committed = await outbox(database, "public.finances_purchasetransaction")
        wanted = [id for id in committed if id not in before]
        await eventually(lambda: set(program.ids("events")) >= set(wanted))
        assert sorted(program.ids("events"), key=int) == wanted
        assert await shown(program) == await table(database)
        assert program.of("reset", name="events") == []
