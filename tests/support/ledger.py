"""A payment database in memory, with transactions that overlap and the visibility that Postgres gives them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from relay.capture.change import Change
from relay.capture.snapshot import Snapshot
from relay.errors import DatabaseError
from tests.support.routing import MEMBERS, NOW, PAYMENTS, Lookups, image

__all__ = ["Database", "Rows"]

STATUSES = ("pending", "completed", "failed")
Rows = dict[int, dict[str, Any]]


@dataclass
class Transaction:
    """An open transaction: what it has written, and the rows it has locked."""

    xid: int
    payments: dict[int, dict[str, Any] | None] = field(default_factory=dict)
    members: dict[int, dict[str, Any] | None] = field(default_factory=dict)
    emptied: bool = False


class Database(Lookups):
    """Committed rows, open transactions, and the outbox. Look-ups see what is committed, polled or not."""

    def __init__(self, dice: random.Random, *, faults: bool = False) -> None:
        super().__init__()
        self.dice = dice
        self.faults = faults
        self.payments: Rows = {}
        self.members: Rows = {}
        self.open: dict[int, Transaction] = {}
        self.next_xid = 1000
        self.outbox: list[Change] = []
        self.next_id = 1

    async def look_up(self, sql: str, keys: Sequence[Any]) -> dict[Any, dict[str, Any]]:
        """As committed; with faults, sometimes an error instead."""
        if self.faults and self.dice.random() < 0.1:
            raise DatabaseError("the look-up fails")
        return await super().look_up(sql, keys)

    def snapshot(self) -> Snapshot:
        """What a statement would see now."""
        return Snapshot.of(self.next_xid, self.open)

    def new(self, since: Snapshot, now: Snapshot) -> list[Change]:
        """The events that ``now`` sees and ``since`` does not."""
        return [each for each in self.outbox if now.sees(each.xid) and not since.sees(each.xid)]

    def begin(self) -> None:
        """Open a transaction."""
        self.open[self.next_xid] = Transaction(self.next_xid)
        self.next_xid += 1

    def write(self) -> None:
        """Let a random open transaction change a random row that no other one has locked."""
        if not self.open:
            return
        dice, transaction = self.dice, self.dice.choice(list(self.open.values()))
        if any(each.emptied for each in self.open.values()):
            return
        if dice.random() < 0.15:
            self._write(transaction, MEMBERS, self.members, transaction.members, dice.randint(1, 6))
        elif dice.random() < 0.02 and len(self.open) == 1 and not transaction.payments:
            transaction.emptied = True
            self._event(transaction, "truncate", PAYMENTS, None, None)
        else:
            self._write(transaction, PAYMENTS, self.payments, transaction.payments, dice.randint(1, 12))

    def _write(self, own: Transaction, source: str, rows: Rows, written: dict[int, Any], id: int) -> None:
        others = [each.members if source == MEMBERS else each.payments for each in self.open.values()]
        if any(id in each for each in others if each is not written):
            return
        old = written.get(id, rows.get(id))
        new = None if old is not None and self.dice.random() < 0.25 else self._row(source, id, old)
        if old is None and new is None:
            return
        op = "insert" if old is None else "delete" if new is None else "update"
        written[id] = new
        self._event(own, op, source, new, old)

    def _row(self, source: str, id: int, old: dict[str, Any] | None) -> dict[str, Any]:
        dice = self.dice
        if source == MEMBERS:
            return {"id": id, "user_id": dice.randint(1, 4), "school_id": dice.choice([10, 20, 30])}
        row = dict(old) if old is not None else image(id, amount=Decimal(5), student_id=dice.randint(1, 4))
        for name, value in {
            "amount": "bad" if dice.random() < 0.15 else Decimal(dice.randint(1, 9)),
            "status": dice.choice(STATUSES),
            "note": dice.choice([None, "a", "b"]),
            "student_id": dice.randint(1, 4),
        }.items():
            if dice.random() < 0.4:
                row[name] = value
        return row

    def _event(self, own: Transaction, op: Any, source: str, new: Any, old: Any) -> None:
        key = {"id": (new or old)["id"]} if new or old else None
        if self.faults and source == PAYMENTS and self.dice.random() < 0.05:
            new = old = None
        self.outbox.append(Change(self.next_id, own.xid, NOW, source, op, key, new, old))
        self.next_id += 1

    def end(self, *, commit: bool = True) -> None:
        """End a random open transaction."""
        if not self.open:
            return
        transaction = self.open.pop(self.dice.choice(list(self.open)))
        if not commit:
            self.outbox = [each for each in self.outbox if each.xid != transaction.xid]
            return
        if transaction.emptied:
            self.payments.clear()
        for rows, written in ((self.payments, transaction.payments), (self.members, transaction.members)):
            for id, row in written.items():
                if row is None:
                    rows.pop(id, None)
                else:
                    rows[id] = row
        self.schools = {}
        for member in self.members.values():
            self.schools.setdefault(member["user_id"], []).append(member["school_id"])
