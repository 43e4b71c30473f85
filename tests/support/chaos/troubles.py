"""Everything that goes wrong during a storm, at random times."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

import psycopg

from relay.demo.postgres import Postgres
from tests.support.chaos.plan import Plan
from tests.support.chaos.relays import Relay
from tests.support.database import Database

__all__ = ["Troubles"]

_SESSIONS = ("relay read", "relay listen", "relay gate", "relay errand")


class Troubles:
    """One trouble after the other. ``log`` is when (Unix time) and what."""

    def __init__(self, plan: Plan, server: Postgres, database: Database, relays: Sequence[Relay]) -> None:
        self.log: list[tuple[float, str]] = []
        self._plan = plan
        self._dice = plan.dice("troubles")
        self._server = server
        self._database = database
        self._relays = relays
        self._over = asyncio.Event()

    def stop(self) -> None:
        """No more of them; :meth:`run` ends when the last one is mended."""
        self._over.set()

    async def run(self) -> None:
        """Until stopped. Whatever is broken is mended again."""
        ordinary: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self._kill_a_relay, 3),
            (self._cut_a_network, 3),
            (self._freeze_a_network, 1),
            (self._freeze_a_relay, 2),
            (self._end_a_session, 5),
        ]
        troubles, weights = zip(*ordinary, strict=True)
        crash = time.monotonic() + self._dice.uniform(0.2, 0.7) * self._plan.crash_every
        while True:
            await self._pause(self._dice.uniform(0.2, 1.6))
            if self._over.is_set():
                return
            if time.monotonic() >= crash:
                await self._crash_postgres()
                crash += self._dice.uniform(0.7, 1.3) * self._plan.crash_every
            else:
                (trouble,) = self._dice.choices(troubles, weights)
                await trouble()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    def _note(self, what: str) -> None:
        self.log.append((time.time(), what))

    async def _kill_a_relay(self) -> None:
        relay = self._dice.choice(self._relays)
        self._note(f"relay {relay.number} killed")
        relay.kill()

    async def _freeze_a_relay(self) -> None:
        relay = self._dice.choice(self._relays)
        self._note(f"relay {relay.number} frozen")
        relay.freeze()
        # Longer than five seconds: then Postgres ends a gate session that says nothing.
        await self._pause(self._dice.choice((0.5, 2.0, 6.5)))
        relay.thaw()
        self._note(f"relay {relay.number} thawed")

    async def _cut_a_network(self) -> None:
        relay = self._dice.choice(self._relays)
        self._note(f"network of relay {relay.number} cut")
        await relay.proxy.cut()
        await self._pause(self._dice.uniform(0, 0.5))
        await relay.proxy.restore()

    async def _freeze_a_network(self) -> None:
        relay = self._dice.choice(self._relays)
        self._note(f"network of relay {relay.number} frozen")
        relay.proxy.freeze()
        await self._pause(self._dice.choice((0.3, 1.0, 4.0)))
        relay.proxy.thaw()
        self._note(f"network of relay {relay.number} thawed")

    async def _end_a_session(self) -> None:
        role = self._dice.choice(_SESSIONS)
        with contextlib.suppress(psycopg.Error):
            async with await psycopg.AsyncConnection.connect(self._database.dsn, autocommit=True) as admin:
                cursor = await admin.execute(
                    "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = %s AND datname = current_database() ORDER BY random() LIMIT 1",
                    (role,),
                )
                self._note(f"session '{role}' ended: {await cursor.fetchone()}")

    async def _crash_postgres(self) -> None:
        self._note("Postgres killed")
        await asyncio.to_thread(self._server.crash)
        await self._pause(self._dice.uniform(0, 0.5))
        await asyncio.to_thread(self._server.start_again)
        self._note("Postgres is back")
