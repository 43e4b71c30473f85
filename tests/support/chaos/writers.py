"""The writers, as a process of their own: ``python -m tests.support.chaos.writers`` with a JSON object on its first
line of input. They end when the input ends, after their seconds, or when enough events are committed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import psycopg

from tests.support.chaos.acts import Board, Connection, Hand
from tests.support.chaos.journal import EventId, Journal

__all__ = ["Writer", "main"]

_MINE = """
SELECT id, (extract(epoch FROM at) * 1000000)::bigint FROM relay.event WHERE xid = pg_current_xact_id_if_assigned()
"""
_ISOLATION = ("READ COMMITTED",) * 4 + ("REPEATABLE READ", "SERIALIZABLE")


class Day:
    """Busy hours and lulls, in which relays fall asleep, for all writers at once; and the end of all work."""

    def __init__(self) -> None:
        self.busy = asyncio.Event()
        self.over = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until it is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)

    async def run(self, dice: random.Random) -> None:
        """Until it is over."""
        while not self.over.is_set():
            self.busy.set()
            await self.pause(dice.uniform(0.3, 2.5))
            self.busy.clear()
            await self.pause(dice.uniform(0.2, 1.2))
        self.busy.set()


class Writer:
    """One connection that writes, and comes back when it is lost."""

    def __init__(
        self, dsn: str, dice: random.Random, board: Board, day: Day, journal: Journal, forgetful: bool
    ) -> None:
        self._dsn = dsn
        self._dice = dice
        self._hand = Hand(dice, board)
        self._board = board
        self._day = day
        self._journal = journal
        self._forgetful = forgetful
        self._durable = True

    async def run(self, *, hold: bool = False) -> None:
        """Write until the day is over. ``hold``: one transaction all the time instead of many."""
        while not self._day.over.is_set():
            try:
                async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
                    self._durable = not self._forgetful or self._dice.random() < 0.1
                    if not self._durable:
                        await connection.execute("SET synchronous_commit = off")
                    if hold:
                        await self._hold(connection)
                    while not self._day.over.is_set():
                        await self._turn(connection)
            except psycopg.OperationalError:  # the server is away
                await self._day.pause(0.1)

    async def _turn(self, connection: Connection) -> None:
        await self._day.pause(self._dice.uniform(0.0, 0.03))
        if not self._day.busy.is_set() and self._dice.random() > 0.05:
            await self._day.busy.wait()
        try:
            if self._dice.random() < 0.3:
                await self._statement(connection)
            else:
                await self._transaction(connection)
        except psycopg.Error:
            # Deadlocks and the like; of a lost connection it is not known what became of its transaction.
            if connection.closed:
                raise
            await connection.execute("ROLLBACK")

    async def _statement(self, connection: Connection) -> None:
        tag = self._board.next()
        if await self._hand.act(connection, tag):
            self._journal.commit_tag(tag, durable=self._durable)

    async def _transaction(self, connection: Connection) -> None:
        tag = self._board.next()
        undone: set[EventId] = set()
        await connection.execute(f"BEGIN ISOLATION LEVEL {self._dice.choice(_ISOLATION)}")
        present: set[EventId] = set()
        try:
            for _ in range(self._dice.choice((1, 1, 2, 3, 6))):
                if self._dice.random() < 0.2:
                    undone |= await self._savepoint(connection, tag)
                await self._hand.act(connection, tag)
                if self._dice.random() < 0.3:
                    await asyncio.sleep(self._dice.expovariate(1 / 0.03) % 0.5)
            present = await _mine(connection)
            if self._dice.random() < 0.15:
                await connection.execute("ROLLBACK")
                undone |= present
            else:
                await connection.execute("COMMIT")
                self._journal.commit(present, durable=self._durable)
        except psycopg.Error:
            if not connection.closed:
                undone |= present
            raise
        finally:
            self._journal.roll_back(undone)

    async def _savepoint(self, connection: Connection, tag: int) -> set[EventId]:
        before = await _mine(connection)
        # More than 64 are kept elsewhere by Postgres, and snapshots do not list them any more.
        for number in range(self._dice.choice((1, 1, 1, 70))):
            await connection.execute(f"SAVEPOINT s{number}")
            if number % 30 == 0:
                await self._hand.act(connection, tag)
        undone = await _mine(connection) - before
        await connection.execute("ROLLBACK TO SAVEPOINT s0")
        return undone

    async def _hold(self, connection: Connection) -> None:
        """A transaction that stays open, with rows in it, until the day is over or the server goes away."""
        batch, tag = -self._board.next(), self._board.next()
        await connection.execute("BEGIN")
        number = 0
        while not self._day.over.is_set():
            await connection.execute(
                "INSERT INTO item SELECT %s, n, 1, 1, %s FROM generate_series(%s::int, %s::int) AS n",
                (batch, tag, number, number + 9),
            )
            number += 10
            await self._day.pause(0.5)
        events = await _mine(connection)
        await connection.execute("COMMIT")
        self._journal.commit(events, durable=self._durable)


async def _mine(connection: Connection) -> set[EventId]:
    return {(id, at) for id, at in await (await connection.execute(_MINE)).fetchall()}


async def main(order: dict[str, Any]) -> None:
    """Write as ordered: dsn, seed, writers, seconds, events, forgetful, journal (a path)."""
    board, day = Board(), Day()
    with Path(order["journal"]).open("w") as out:
        journal = Journal(out)

        async def watch() -> None:
            async with asyncio.timeout(order["seconds"]):
                while journal.committed < order["events"]:
                    await day.pause(0.1)
                    if day.over.is_set():
                        return

        async def until_over() -> None:
            with contextlib.suppress(TimeoutError):
                await watch()
            day.over.set()

        asyncio.get_running_loop().add_reader(sys.stdin, day.over.set)
        async with asyncio.TaskGroup() as group:
            group.create_task(until_over())
            group.create_task(day.run(random.Random(f"{order['seed']} day")))
            for number in range(order["writers"]):
                dice = random.Random(f"{order['seed']} writer {number}")
                writer = Writer(order["dsn"], dice, board, day, journal, order["forgetful"])
                group.create_task(writer.run(hold=number == 0))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline())))
