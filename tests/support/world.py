"""A payment database in memory with real visibility, a relay that reads it, and clients that come and go.

Transactions overlap, snapshots are what Postgres would give, polls are those of the exact reader, and a large commit may
lag behind its position. Clients keep a list of rows as the protocol tells them to. Everything random comes from one
generator, so a failing seed can be run again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from relay import jsontext
from relay.capture.change import Change
from relay.capture.cursor import Cursor, Epoch, Witness
from relay.capture.snapshot import Snapshot
from relay.errors import ResumeRefused
from relay.routing.groups import Subscriber, Subscription
from relay.routing.hub import Hub
from relay.routing.outlet import Bundle
from relay.routing.prepare import Preparer
from relay.routing.view import View
from tests.support.routing import MEMBERS, NOW, PAYMENTS, Lookups, batch, channel, image, view

EPOCH = Epoch(1, 2, 3, UUID(int=4))
STATUSES = ("pending", "completed", "failed")
Filter = Mapping[str, Any]
Rows = dict[int, dict[str, Any]]


def shown(row: Mapping[str, Any], schools: Mapping[int, list[int]]) -> dict[str, Any] | None:
    """The payment channel's projection, written down once more and as plainly as can be; None if it is not valid."""
    if isinstance(row["amount"], str):
        return None
    return {
        "id": str(row["id"]),
        "amount": row["amount"],
        "status": {"completed": "succeeded"}.get(row["status"], row["status"]),
        "note": row["note"],
        "school_ids": schools.get(row["student_id"]),
    }


def passes(row: Mapping[str, Any], spec: Filter) -> bool:
    """Whether a projected row passes a filter, evaluated naively. Operators: eq, in, gte, ne, overlaps."""
    for name, part in spec.items():
        if name == "any_of":
            if not any(passes(row, each) for each in part):
                return False
            continue
        value = row[name]
        for op, operand in (part if isinstance(part, Mapping) else {"eq": part}).items():
            holds = value is not None and {
                "eq": lambda v, o: v == o,
                "ne": lambda v, o: v != o,
                "in": lambda v, o: v in o,
                "gte": lambda v, o: v >= Decimal(o),
                "overlaps": lambda v, o: bool(set(v) & set(o)),
            }[op](value, operand)
            if not holds:
                return False
    return True


def some_view(dice: random.Random, of: Any) -> tuple[View, Filter, Filter]:
    """A random view, and the same as plain filter and scope."""
    wanted = dice.choice(
        [
            {},
            {},
            {"status": dice.choice(["pending", "succeeded", "failed"])},
            {"status": {"in": dice.sample(["pending", "succeeded", "failed"], 2)}},
            {"amount": {"gte": str(dice.randint(1, 9))}},
            {"note": {"ne": "a"}},
            {"any_of": [{"status": "failed"}, {"amount": {"gte": "7"}}]},
            {"amount": {"gte": "3"}, "any_of": [{"note": "a"}, {"note": "b"}]},
        ]
    )
    scope = dice.choice([{}, {}, {"school_ids": {"overlaps": dice.sample([10, 20, 30], dice.randint(1, 2))}}])
    return view(of, wanted, scope), wanted, scope


@dataclass
class Transaction:
    """An open transaction: what it has written, and the rows it has locked."""

    xid: int
    payments: dict[int, dict[str, Any] | None] = field(default_factory=dict)
    members: dict[int, dict[str, Any] | None] = field(default_factory=dict)
    emptied: bool = False


class Database(Lookups):
    """Committed rows, open transactions, and the outbox. Look-ups see what is committed, polled or not."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice = dice
        self.payments: Rows = {}
        self.members: Rows = {}
        self.open: dict[int, Transaction] = {}
        self.next_xid = 1000
        self.outbox: list[Change] = []
        self.next_id = 1

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


class Relay:
    """The hub with an exact reader before it. A source may lag: its events then come in parts, behind the position."""

    def __init__(self, database: Database, **changes: Any) -> None:
        self.database = database
        self.channel = channel(**changes)
        channels = {"payments": self.channel}
        self.preparer = Preparer(channels, database, cache_entries=3)
        self.hub = Hub(channels, ring_events=30, held_events=12)
        self.position = database.snapshot()
        self.late: dict[str, list[Change]] = {}

    def poll(self, *, lag: bool = False) -> None:
        """Read what is new and publish it. ``lag``: what is new of one source stays behind for now."""
        dice = self.database.dice
        now = self.database.snapshot()
        changes = self.database.new(self.position, now)
        self.position = now
        if lag and changes and not self.late:
            self.late[dice.choice(changes).source] = []
        for source, waiting in self.late.items():
            waiting += [each for each in changes if each.source == source]
            changes = [each for each in changes if each.source != source]
        if dice.random() < 0.2:
            self.database.end()  # look-ups see more than the poll did
        prepared = asyncio.run(self.preparer.prepare(changes))
        clamped = now.clamp(1 + max((each.xid for each in self._visible(now)), default=2))
        witness = self._witness(clamped)
        text = Cursor.of(EPOCH, clamped, witness).encode()
        self.hub.publish(
            prepared,
            batch(
                changes,
                snapshot=now,
                cursor=text,
                clamped=clamped,
                witness=witness,
                lagging=frozenset(self.late),
            ),
        )

    def catch_up(self) -> None:
        """Publish a part of what lags behind."""
        for source, waiting in list(self.late.items()):
            part = self.database.dice.randint(1, 4)
            changes, self.late[source] = waiting[:part], waiting[part:]
            prepared = asyncio.run(self.preparer.prepare(changes))
            self.hub.publish(prepared, batch(changes, xmax=None, lagging=frozenset(self.late)))
            if not self.late[source]:
                del self.late[source]

    def _visible(self, now: Snapshot) -> list[Change]:
        return [each for each in self.database.outbox if now.sees(each.xid)]

    def _witness(self, clamped: Snapshot) -> Witness | None:
        newest = max(((each.xid, each.id) for each in self._visible(clamped)), default=None)
        return Witness(newest[1], newest[0]) if newest else None


class Client:
    """Keeps the list of rows that one view shows, as the protocol has it, through resyncs and lost connections."""

    def __init__(self, relay: Relay, seen: View, wanted: Filter, scope: Filter) -> None:
        self.relay = relay
        self.view = seen
        self.wanted = wanted
        self.scope = scope
        self.rows: dict[str, Any] = {}
        self.since: Cursor | None = None
        self.subscriber: Subscriber | None = None
        self.subscription: Subscription | None = None
        self.fetched: tuple[Sequence[Any] | None, list[bytes], tuple[Snapshot, ...]] | None = None
        self.ids: set[str] = set()

    # As an outlet

    def offer(self, bundle: Bundle) -> bool:
        """Apply what comes."""
        for text in bundle.messages:
            self.apply(text)
        return True

    def resync(self, channels: frozenset[str], reason: str) -> None:
        """Forget everything; a snapshot has to be fetched."""
        self.since, self.fetched = None, None
        self.ids.clear()

    def apply(self, text: bytes) -> None:
        """One message, as the protocol has it."""
        message = jsontext.decode(text)
        if message["type"] == "checkpoint":
            self.since = Cursor.decode(message["cursor"])
        elif message["type"] == "payment_update":
            assert message["id"] not in self.ids, "an event came twice"
            self.ids.add(message["id"])
            row = message["data"]["payment"]
            if message["data"]["action"] == "deleted" or message.get("membership") == "left":
                self.rows.pop(row["id"], None)
            else:
                self.rows[row["id"]] = row

    # As a connection

    def connect(self) -> None:
        """Join; resume from memory if that is possible."""
        hub = self.relay.hub
        self.subscriber = hub.attach(self)
        self.subscription = hub.join(self.subscriber, self.view)
        self.fetched = None
        self.ids.clear()
        if self.since is not None and (missed := hub.replay(self.view, self.since)) is not None:
            self.fetched = (None, missed, (self.since.snapshot,))

    def disconnect(self) -> None:
        """The connection is lost; the rows and the last cursor are kept, if they belong together."""
        assert self.subscriber is not None
        if self.subscriber.holds and self.since is None:
            self.rows.clear()
        self.relay.hub.detach(self.subscriber)
        self.subscriber = self.subscription = None

    def fetch(self) -> None:
        """Read a replay or a snapshot from the database, for release later."""
        database, preparer = self.relay.database, self.relay.preparer
        now = database.snapshot()
        if self.since is not None:
            changes = database.new(self.since.snapshot, now)
            try:
                prepared = asyncio.run(preparer.prepare(changes))
                missed = [text for _, text in self.relay.hub.render(self.view, prepared)]
            except ResumeRefused:
                self.since = None
            else:
                self.fetched = (None, missed, (self.since.snapshot, now))
                return
        prepared_rows = asyncio.run(preparer.prepare_rows(self.view.channel, list(database.payments.values())))
        self.fetched = (self.view.select(prepared_rows.rows, 1000), [], (now,))

    def go_live(self) -> None:
        """Show what was fetched and go live; if what was held is not whole, fetch again later."""
        hub = self.relay.hub
        if self.fetched is None or self.subscription is None or self.subscriber is None:
            return
        snapshot, missed, floors = self.fetched
        self.fetched = None
        held = hub.release(self.subscription, floors=floors)
        if held is None:
            self.since = None
            return
        if snapshot is not None:
            self.rows = {row["id"]: row for row in snapshot}
        for text in (*missed, *held):
            self.apply(text)
        if (checkpoint := hub.checkpoint_for(self.subscriber)) is not None:
            self.apply(checkpoint)

    @property
    def waiting(self) -> bool:
        """Whether it is connected and not live."""
        return self.subscription is not None and self.subscription.held is not None

    def expected(self) -> dict[str, Any]:
        """The rows it should show, from the database as it is now."""
        database = self.relay.database
        found = {}
        for row in database.payments.values():
            each = shown(row, database.schools)
            if each is not None and passes(each, self.wanted) and passes(each, self.scope):
                found[each["id"]] = (str(each["amount"]), each["status"], each["note"])
        return found

    def actual(self) -> dict[str, Any]:
        """The rows it shows. Of a row that cannot be shown to anybody, an unscoped client has been told ``withheld``."""
        bad = {str(id) for id, row in self.relay.database.payments.items() if isinstance(row["amount"], str)}
        return {
            id: (row["amount"], row["status"], row["note"])
            for id, row in self.rows.items()
            if self.scope or id not in bad
        }
