"""A real relay, ``relay serve`` in a process of its own, for as long as it is measured."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from relay.config import Settings, load
from relay.demo.postgres import Postgres
from relay.gateway.auth import mint

__all__ = ["CHANNEL", "NEVER_ASLEEP_MS", "Serving", "serving"]

CONFIG = Path(__file__).with_name("relay.toml")
CHANNEL = "payments"
START_SECONDS = 30
STOP_SECONDS = 15
NEVER_ASLEEP_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Serving:
    """A relay that lets clients in."""

    settings: Settings
    port: int
    pid: int

    @property
    def url(self) -> str:
        """Where its WebSocket is."""
        return f"ws://127.0.0.1:{self.port}{self.settings.server.paths[0]}"

    @property
    def token(self) -> str:
        """A token that sees everything."""
        return mint(self.settings.auth, "bench", 3600, {})


@contextlib.asynccontextmanager
async def serving(
    server: Postgres, *, idle_after_ms: int | None = None, ops_port: int = 0
) -> AsyncIterator[Serving]:
    """Start a relay on ``server``, hand it over once it is ready, stop it at the end.

    ``idle_after_ms`` and ``ops_port`` are its settings of that name. RuntimeError quotes it if it does not start.
    """
    environment = {
        "RELAY_DATABASE__DSN": server.dsn(user="relay_daemon"),
        "RELAY_AUTH__SECRETS": secrets.token_hex(32),
        "RELAY_SERVER__OPS_PORT": str(ops_port),
    }
    if idle_after_ms is not None:
        environment["RELAY_CAPTURE__IDLE_AFTER_MS"] = str(idle_after_ms)
    settings = load(CONFIG, environment)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relay", "serve", "--config", str(CONFIG),
        cwd=CONFIG.parent.parent, stderr=asyncio.subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip
    log: list[str] = []
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    reading = asyncio.create_task(_read(process, log, ready))
    try:
        try:
            async with asyncio.timeout(START_SECONDS):
                port = await ready
        except TimeoutError:
            raise RuntimeError(f"the relay was not ready within {START_SECONDS} s: {log[-3:]}") from None
        yield Serving(settings, port, process.pid)
        if process.returncode is not None:
            raise RuntimeError(f"the relay ended by itself with {process.returncode}: {log[-3:]}")
    finally:
        await _stop(process)
        await reading


async def _read(process: asyncio.subprocess.Process, log: list[str], ready: asyncio.Future[int]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        log.append(line.decode(errors="replace").strip())
        del log[:-100]
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if said.get("event") == "ready" and not ready.done():
                ready.set_result(said["port"])
    if not ready.done():
        ready.set_exception(RuntimeError(f"the relay did not start: {' / '.join(log[-3:])}"))


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def until_asleep(server: Postgres) -> None:
    """Return once a relay holds the gate: from now on the next writer has to wake it."""
    async with (
        asyncio.timeout(START_SECONDS),
        await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as connection,
    ):
        while True:
            row = await (await connection.execute("SELECT asleep FROM relay.status")).fetchone()
            if row is not None and row[0]:
                return
            await asyncio.sleep(0.02)
