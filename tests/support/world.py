"""A relay that reads a database in memory, and clients that come and go.

Polls are those of the exact reader, and a large commit may lag behind the position. Clients keep a list of rows as the
protocol tells them to. Everything random comes from one generator, so a failing seed can be run again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from relay import jsontext
from relay.capture.change import Change
from relay.capture.cursor import Cursor, Epoch, Witness
from relay.capture.snapshot import Snapshot
from relay.errors import DatabaseError, ResumeRefused
from relay.routing.groups import Subscriber, Subscription
from relay.routing.hub import Hub
from relay.routing.outlet import Bundle
from relay.routing.prepare import Preparer
from relay.routing.view import View
from tests.support.ledger import Database
from tests.support.routing import NOW, batch, channel, view

EPOCH = Epoch(1, 2, 3, UUID(int=4))
Filter = Mapping[str, Any]
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, operand: bool(value == operand),
    "ne": lambda value, operand: bool(value != operand),
    "in": lambda value, operand: value in operand,
    "gte": lambda value, operand: bool(value >= Decimal(operand)),
    "overlaps": lambda value, operand: bool(set(value) & set(operand)),
}


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
            if value is None or not OPERATORS[op](value, operand):
                return False
    return True


def some_view(dice: random.Random, of: Any) -> tuple[View, Filter, Filter]:
    """A random view, and the same as plain filter and scope."""
    filters: list[Filter] = [
        {},
        {},
        {"status": dice.choice(["pending", "succeeded", "failed"])},
        {"status": {"in": dice.sample(["pending", "succeeded", "failed"], 2)}},
        {"amount": {"gte": str(dice.randint(1, 9))}},
        {"note": {"ne": "a"}},
        {"any_of": [{"status": "failed"}, {"amount": {"gte": "7"}}]},
        {"amount": {"gte": "3"}, "any_of": [{"note": "a"}, {"note": "b"}]},
    ]
    wanted = dice.choice(filters)
    scopes: list[Filter] = [
        {},
        {},
        {"school_ids": {"overlaps": dice.sample([10, 20, 30], dice.randint(1, 2))}},
    ]
    scope = dice.choice(scopes)
    return view(of, wanted, scope), wanted, scope


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
        return Witness(newest[1], newest[0], NOW) if newest else None


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
        #: Something was withheld since the last snapshot.
        self.doubtful = False

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
        elif message["type"] == "withheld":
            self.doubtful = True
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

    def start_over(self) -> None:
        """Subscribe again without a cursor."""
        assert self.subscriber is not None
        self.resync(frozenset(), "")
        self.subscription = self.relay.hub.join(self.subscriber, self.view)

    def fetch(self) -> None:
        """Read a replay or a snapshot from the database, for release later."""
        database, preparer = self.relay.database, self.relay.preparer
        now = database.snapshot()
        if self.since is not None:
            changes = database.new(self.since.snapshot, now)
            try:
                prepared = asyncio.run(preparer.prepare(changes))
                missed = [text for text in self.relay.hub.render(self.view, prepared) if text]
            except ResumeRefused:
                self.since = None
            else:
                self.fetched = (None, missed, (self.since.snapshot, now))
                return
        images = list(database.payments.values())
        try:
            prepared_rows = asyncio.run(preparer.prepare_rows(self.view.channel, images))
        except DatabaseError:
            return
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
            self.doubtful = False
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
        """The rows it shows. Of one that cannot be shown to anybody, an unscoped client has been told ``withheld``."""
        bad = {str(id) for id, row in self.relay.database.payments.items() if isinstance(row["amount"], str)}
        return {
            id: (row["amount"], row["status"], row["note"])
            for id, row in self.rows.items()
            if self.scope or id not in bad
        }
