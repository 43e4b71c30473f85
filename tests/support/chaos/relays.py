"""Relays as real processes, each behind a network of its own to the database, started again whenever they end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import relay
from relay.errors import DatabaseUnreachable
from tests.support.chaos.plan import Plan
from tests.support.chaos.scene import CONFIG
from tests.support.database import Database
from tests.support.proxy import TcpProxy
from tests.support.waiting import eventually

__all__ = ["Relay", "relays"]

#: The exit code of a relay that cannot reach its database when it starts.
NO_DATABASE = DatabaseUnreachable.exit_code


class Relay:
    """One relay under a supervisor. ``failures`` is everything it did that a relay never does."""

    def __init__(self, number: int, plan: Plan, database: Database, directory: Path) -> None:
        self.number = number
        self.port, self._ops_port = free_port(), free_port()
        self.proxy = TcpProxy.before(database.daemon_dsn)
        self.starts = 0
        self.failures: list[str] = []
        self.log = directory / f"relay-{number}.log"
        self._database = database
        self._plan = plan
        self._config = directory / "config.toml"
        self._process: asyncio.subprocess.Process | None = None
        self._killed = False
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        """Where its WebSocket is."""
        return f"ws://127.0.0.1:{self.port}/ws/payment-monitoring/"

    async def run(self) -> None:
        """Keep it running until :meth:`stop`, then drain it."""
        dice = self._plan.dice(f"supervisor {self.number}")
        async with self.proxy:
            with self.log.open("ab") as log:
                while not self._stopping.is_set():
                    await self._live(log)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), dice.uniform(0.05, 0.8))

    async def _live(self, log: IO[bytes]) -> None:
        self._killed = False
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "relay", "serve", "--config", str(self._config),
            cwd=Path(relay.__file__).parents[1], env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        self.starts += 1
        ended = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
            asked = not ended.done()
            if asked:
                process.terminate()
            code = await asyncio.wait_for(ended, 20)
            if not self._killed and code not in ((0,) if asked else (NO_DATABASE,)):
                self.failures.append(f"ended by itself with code {code}")
        finally:
            stopping.cancel()
            ended.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()

    def stop(self) -> None:
        """Let :meth:`run` end."""
        self._stopping.set()

    def _environment(self) -> dict[str, str]:
        settings = self._plan.settings | {
            "DATABASE__DSN": self.proxy.through(self._database.daemon_dsn),
            "SERVER__PORT": str(self.port),
            "SERVER__OPS_PORT": str(self._ops_port),
        }
        ours = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
        return ours | {f"RELAY_{name}": value for name, value in settings.items()}

    def kill(self) -> None:
        """SIGKILL."""
        self._killed = True
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: every connection stays, nothing moves."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def ready(self) -> bool:
        """Whether it serves, and reads the outbox."""
        try:
            return " 200 " in (await self._get("/readyz")).partition("\r\n")[0]
        except OSError:
            return False

    async def unannounced(self) -> float:
        """``relay_unannounced_events_total`` since its last start."""
        metrics = await self._get("/metrics")
        (line,) = (
            line for line in metrics.splitlines() if line.startswith("relay_unannounced_events_total ")
        )
        return float(line.split()[1])

    async def _get(self, path: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._ops_port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return (await asyncio.wait_for(reader.read(), 5)).decode()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def complaints(self) -> list[str]:
        """What is in its log that must not be there."""
        found = list(self.failures)
        for line in self.log.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                # The one line of a relay that cannot start. A line that was being written when it was killed is short.
                if line.startswith(("Traceback", "  File")):
                    found.append(line)
                continue
            if "exception" in entry or entry["event"] == "events_unannounced":
                found.append(line)
        return found


@contextlib.asynccontextmanager
async def relays(plan: Plan, database: Database, directory: Path) -> AsyncIterator[list[Relay]]:
    """As many relays as planned, ready; drained at the end."""
    (directory / "config.toml").write_text(CONFIG)
    all_of_them = [Relay(number, plan, database, directory) for number in range(plan.relays)]
    async with asyncio.TaskGroup() as group:
        for each in all_of_them:
            group.create_task(each.run())
        try:
            for each in all_of_them:
                await eventually(each.ready, within=60)
            yield all_of_them
        finally:
            for each in all_of_them:
                each.thaw()
                each.stop()


def free_port() -> int:
    """A port that nobody listens on, outside of the range the system gives out for outgoing connections."""
    dice = random.SystemRandom()
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", dice.randrange(20_000, 30_000)))
            return int(probe.getsockname()[1])
