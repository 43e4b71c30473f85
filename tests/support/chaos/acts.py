"""What writers do to the tables, one statement each."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

__all__ = ["Board", "Hand"]

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

#: Rows of the tables that snapshots are compared with as a whole: a snapshot has 500 rows at most.
PAYMENTS = 300
ACCOUNTS = 12
BATCHES = 4
STATES = ("open", "open", "settling", "failed")


class Board:
    """What the writers know together. Rows on it may be gone, and rows that are not may be there."""

    def __init__(self) -> None:
        self.payments: list[int] = []
        self.batches: list[int] = []
        self._number = 0

    def next(self) -> int:
        """A number that nobody had before."""
        self._number += 1
        return self._number


class Hand:
    """One writer's choice of statements. Each act returns how many rows it inserted or updated with ``tag``."""

    def __init__(self, dice: random.Random, board: Board) -> None:
        self._dice = dice
        self._board = board
        self._acts: tuple[tuple[Callable[[Connection, int], Awaitable[int]], int], ...] = (
            (self.pay, 30),
            (self.change, 30),
            (self.credit, 20),
            (self.remove, 8),
            (self.close_account, 2),
            (self.annotate, 4),
            (self.load, 2),
            (self.revalue, 3),
            (self.unload, 1),
        )

    async def act(self, connection: Connection, tag: int) -> int:
        """One of them."""
        acts, weights = zip(*self._acts, strict=True)
        (chosen,) = self._dice.choices(acts, weights)
        return int(await chosen(connection, tag))

    def _amount(self) -> str:
        return f"{self._dice.randrange(10_000) / 100:.2f}"

    async def pay(self, connection: Connection, tag: int) -> int:
        """A new payment; beyond the limit an old one goes."""
        if len(self._board.payments) > PAYMENTS:
            return await self.remove(connection, tag)
        cursor = await connection.execute(
            "INSERT INTO payment (account, amount, state, version, tag) VALUES (%s, %s, %s, 1, %s) RETURNING id",
            (f"A{self._dice.randrange(ACCOUNTS)}", self._amount(), self._dice.choice(STATES), tag),
        )
        row = await cursor.fetchone()
        assert row is not None
        self._board.payments.append(row[0])
        return 1

    async def change(self, connection: Connection, tag: int) -> int:
        """A few payments change, in an order that may deadlock."""
        changed = 0
        for payment in self._some(self._board.payments, self._dice.choice((1, 1, 1, 3))):
            cursor = await connection.execute(
                "UPDATE payment SET state = %s, amount = CASE WHEN %s THEN %s ELSE amount END, version = version + 1,"
                " tag = %s WHERE id = %s",
                (self._dice.choice(STATES), self._dice.random() < 0.3, self._amount(), tag, payment),
            )
            changed += cursor.rowcount
        return changed

    async def credit(self, connection: Connection, tag: int) -> int:
        """The same few accounts, by everybody."""
        await connection.execute(
            "INSERT INTO account VALUES (%s, %s, 1, %s) ON CONFLICT (id) DO UPDATE"
            " SET balance = account.balance + EXCLUDED.balance, version = account.version + 1, tag = EXCLUDED.tag",
            (f"A{self._dice.randrange(ACCOUNTS)}", self._amount(), tag),
        )
        return 1

    async def remove(self, connection: Connection, tag: int) -> int:
        """A payment, and with it its posting."""
        for payment in self._some(self._board.payments, 1):
            self._board.payments.remove(payment)
            await connection.execute("DELETE FROM payment WHERE id = %s", (payment,))
        return 0

    async def close_account(self, connection: Connection, tag: int) -> int:
        """Its key will come again, with version 1."""
        await connection.execute("DELETE FROM account WHERE id = %s", (f"A{self._dice.randrange(ACCOUNTS)}",))
        return 0

    async def annotate(self, connection: Connection, tag: int) -> int:
        """A column that is not captured: no event."""
        for payment in self._some(self._board.payments, 1):
            await connection.execute("UPDATE payment SET note = %s WHERE id = %s", (str(tag), payment))
        return 0

    async def load(self, connection: Connection, tag: int) -> int:
        """Many rows by one statement; beyond the limit an old batch goes."""
        if len(self._board.batches) > BATCHES:
            await self.unload(connection, tag)
        batch = self._board.next()
        self._board.batches.append(batch)
        cursor = await connection.execute(
            "INSERT INTO item SELECT %s, n, (n * 7 %% 100)::numeric(12,2), 1, %s FROM generate_series(1, %s) AS n",
            (batch, tag, self._dice.choice((20, 100, 400))),
        )
        return cursor.rowcount

    async def revalue(self, connection: Connection, tag: int) -> int:
        """Some rows of a batch change by one statement."""
        for batch in self._some(self._board.batches, 1):
            cursor = await connection.execute(
                "UPDATE item SET amount = (number * %s %% 100)::numeric(12,2), version = version + 1, tag = %s"
                " WHERE batch = %s AND number %% %s = 0",
                (self._dice.randrange(1, 10), tag, batch, self._dice.choice((1, 3, 10))),
            )
            return cursor.rowcount
        return 0

    async def unload(self, connection: Connection, tag: int) -> int:
        """A batch goes."""
        for batch in self._some(self._board.batches, 1):
            self._board.batches.remove(batch)
            await connection.execute("DELETE FROM item WHERE batch = %s", (batch,))
        return 0

    def _some(self, known: list[int], count: int) -> list[int]:
        return self._dice.sample(known, min(count, len(known)))
