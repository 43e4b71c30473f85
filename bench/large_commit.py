"""One transaction of a million rows: what it does to the relay and to everybody else, while it is open and after."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from datetime import datetime

import psutil
import psycopg
from websockets.asyncio.client import connect

from bench.crowd import crowd
from bench.database import install, postgres
from bench.report import Goal, Table, count, verdict
from bench.rounds import percentile
from bench.serving import Serving, serving
from bench.variants import create_tables, payments_at_once
from relay.demo.postgres import Postgres

__all__ = ["measure"]

POLL, NOTE, MEMORY = Goal(most=2, unit=" ms"), Goal(most=250, unit=" ms"), Goal(most=100, unit=" MB")
COLUMNS = ("while", ">seconds", ">poll p50", ">p99", ">notes p50", ">p99", ">memory", "to reach")

NOTES_EVERY = 0.02
LOOK_EVERY = 0.02
QUIET_SECONDS = 5.0
LAST_POLL = re.compile(rb"^relay_poll_seconds (\S+)$", re.MULTILINE)


@dataclass
class Seen:
    """What was measured in one phase, in milliseconds; ``memory`` in megabytes, the most there was."""

    polls: list[float] = field(default_factory=list)
    notes: list[float] = field(default_factory=list)
    memory: float = 0.0


async def measure(*, quick: bool = False, major: int | None = None) -> Table:
    """The table of the large commit."""
    rows = 200_000 if quick else 1_000_000
    table = Table(f"One transaction of {count(rows)} rows", COLUMNS)
    with postgres(major) as server:
        await install(server)
        await create_tables(server)
        await _storm(table, server, rows)
    table.notes.append(
        f"Notes are written to another table, {1 / NOTES_EVERY:.0f} a second, and told on another channel to another"
        " client; counted from the trigger's clock, so with the flush of their commit. Polls: the time of the last one,"
        f" looked at {1 / LOOK_EVERY:.0f} times a second. Memory is what the relay has more than before, at most."
    )
    return table


async def _storm(table: Table, server: Postgres, rows: int) -> None:
    ops_port = _free_port()
    async with (
        serving(server, ops_port=ops_port) as relay,
        crowd(relay, 1) as people,
        _Watch(server, relay, ops_port) as watch,
        await psycopg.AsyncConnection.connect(server.dsn(user="shop")) as shop,
    ):
        phases = (
            ("nothing else happens", asyncio.sleep(QUIET_SECONDS), [("polls", POLL)]),
            ("it is open", shop.execute(payments_at_once("bench.watched", rows)), [("polls", POLL)]),
            ("it is told", _told(shop, people.ask("await", rows)), [("notes", NOTE), ("memory", MEMORY)]),
        )
        for name, phase, goals in phases:
            seen, seconds = await watch.during(phase)
            polls, notes = (
                [percentile(each, share) for share in (0.5, 0.99)] for each in (seen.polls, seen.notes)
            )
            reached = {"polls": polls[0], "notes": notes[1], "memory": seen.memory}
            table.add(
                name, f"{seconds:.1f}", *(f"{each:.1f} ms" for each in (*polls, *notes)), f"{seen.memory:+.0f} MB",
                verdict([(reached[what], goal) for what, goal in goals]),
            )  # fmt: skip
            table.raw[name] = {"seconds": seconds, "polls": polls, "notes": notes, "memory": seen.memory}


async def _told(shop: psycopg.AsyncConnection[tuple[object, ...]], all_there: Awaitable[object]) -> None:
    await shop.commit()
    await all_there


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


class _Watch:
    """Writes notes and waits for them, looks at polls and memory, all the time."""

    def __init__(self, server: Postgres, relay: Serving, ops_port: int) -> None:
        self._server, self._relay, self._ops_port = server, relay, ops_port
        self._process = psutil.Process(relay.pid)
        self._memory = self._process.memory_info().rss
        self._seen = Seen()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> _Watch:
        listening = asyncio.Event()
        tasks = [asyncio.create_task(each) for each in (self._hear(listening), self._look())]
        self._stack.push_async_callback(_end, tasks)
        await listening.wait()
        tasks.append(asyncio.create_task(self._write()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def during(self, phase: Awaitable[object]) -> tuple[Seen, float]:
        """What is seen until ``phase`` is over, and how many seconds that takes."""
        self._seen = Seen()
        began = time.perf_counter()
        await phase
        return self._seen, time.perf_counter() - began

    async def _write(self) -> None:
        async with await psycopg.AsyncConnection.connect(
            self._server.dsn(user="shop"), autocommit=True
        ) as shop:
            while True:
                await shop.execute("INSERT INTO bench.note (note) VALUES ('n')")
                await asyncio.sleep(NOTES_EVERY)

    async def _hear(self, listening: asyncio.Event) -> None:
        headers = {"Authorization": f"Bearer {self._relay.token}"}
        async with connect(self._relay.url, additional_headers=headers) as client:
            await client.send(json.dumps({"type": "subscribe", "channels": ["notes"]}))
            async for text in client:
                now = time.time()
                message = json.loads(text)
                if message["type"] == "checkpoint":
                    listening.set()
                elif "data" in message:
                    told = datetime.fromisoformat(message["timestamp"])
                    self._seen.notes.append((now - told.timestamp()) * 1000)

    async def _look(self) -> None:
        while True:
            async with self._metrics() as answer:
                if (last := LAST_POLL.search(answer)) is not None:
                    self._seen.polls.append(float(last[1]) * 1000)
            grown = (self._process.memory_info().rss - self._memory) / 1e6
            self._seen.memory = max(self._seen.memory, grown)
            await asyncio.sleep(LOOK_EVERY)

    @contextlib.asynccontextmanager
    async def _metrics(self) -> AsyncIterator[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._ops_port)
        try:
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            yield await reader.read()
        finally:
            writer.close()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
