"""What tests of routing are made of: a payment channel, its changes, and an outlet that remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Literal, cast

from relay import jsontext
from relay.capture.batch import Batch, Gap
from relay.capture.change import Change
from relay.capture.cursor import Witness
from relay.capture.snapshot import Snapshot
from relay.config import ChannelSettings
from relay.routing import filters
from relay.routing.channel import Channel, compile_channel
from relay.routing.conditions import condition
from relay.routing.outlet import Bundle
from relay.routing.view import UNSCOPED, Scope, View

PAYMENTS = "public.payment"
MEMBERS = "public.member"
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
LIMITS = SimpleNamespace(filter_conditions=32, filter_in=100)
TYPES = {
    "id": "bigint",
    "amount": "numeric",
    "status": "text",
    "student_id": "bigint",
    "note": "text",
    "paid": "boolean",
    "meta": "jsonb",
    "created_at": "timestamp with time zone",
}
TENANT: dict[str, Any] = {
    "key": "student_id",
    "sql": (
        "SELECT user_id AS id, array_agg(school_id) AS school_ids FROM member "
        "WHERE user_id = ANY(%(keys)s) GROUP BY 1"
    ),
    "reverse": "SELECT user_id FROM member WHERE school_id = ANY(%(values)s)",
    "reads": {MEMBERS: ["user_id", "school_id"]},
}


def settings(**changes: Any) -> ChannelSettings:
    """The declaration of a payment channel, with ``changes`` to its keys."""
    declared: dict[str, Any] = {
        "table": PAYMENTS,
        "message": "payment_update",
        "object": "payment",
        "status": "status",
        "lookups": {"tenant": TENANT},
        "fields": {
            "id": {"column": "id", "type": "string"},
            "amount": {"column": "amount", "type": "decimal"},
            "currency": {"constant": "eur"},
            "status": {"column": "status", "map": {"completed": "succeeded"}},
            "note": {"column": "note"},
            "school_ids": {"lookup": "tenant.school_ids", "type": "json", "hidden": True},
        },
    }
    return ChannelSettings.model_validate(declared | changes)


def channel(name: str = "payments", **changes: Any) -> Channel:
    """The compiled payment channel."""
    return compile_channel(name, settings(**changes), TYPES, ["id"])


def view(of: Channel, filter: Any = None, scope: Mapping[str, Mapping[str, Any]] | None = None) -> View:
    """A view with a client's filter, and a scope as {field: {op: operand}}."""
    conditions = [
        condition(name, op, operand, of.kinds[name], 1000)
        for name, spec in (scope or {}).items()
        for op, operand in spec.items()
    ]
    wanted = filters.parse(filter, of.visible, cast(filters.FilterLimits, LIMITS))
    return View(of, wanted, Scope(tuple(conditions)) if conditions else UNSCOPED)


def image(id: int = 1, **columns: Any) -> dict[str, Any]:
    """A captured row of the payment table."""
    row: dict[str, Any] = {
        "id": id,
        "amount": Decimal("150.00"),
        "status": "pending",
        "student_id": 1,
        "note": None,
    }
    return row | columns


def change(
    id: int,
    op: Literal["insert", "update", "delete", "truncate"],
    new: dict[str, Any] | None = None,
    old: dict[str, Any] | None = None,
    *,
    xid: int | None = None,
    source: str = PAYMENTS,
    key: dict[str, Any] | None = None,
) -> Change:
    """A captured change; its key is the id of the row unless given."""
    row = new or old
    if key is None and row is not None:
        key = {"id": row["id"]}
    return Change(id, 1000 + id if xid is None else xid, NOW, source, op, key, new, old)


def batch(
    changes: Sequence[Change] = (),
    *,
    xmax: int | None = 10_000,
    snapshot: Snapshot | None = None,
    cursor: str = "cursor",
    lagging: frozenset[str] = frozenset(),
    gap: Gap | None = None,
    clamped: Snapshot | None = None,
    witness: Witness | None = None,
    as_of: datetime = NOW,
) -> Batch:
    """A batch whose position sees all below ``xmax``; ``xmax`` None makes it a part of a large commit."""
    if snapshot is None and xmax is not None:
        snapshot = Snapshot.of(xmax)
    return Batch(
        changes=tuple(changes),
        snapshot=snapshot,
        as_of=as_of,
        cursor=cursor if snapshot is not None else "",
        witness=witness,
        lagging=lagging,
        gap=gap,
        clamped=clamped if clamped is not None else snapshot,
    )


class Lookups:
    """A database of look-ups: ``schools`` by student. ``asked`` lists the keys of every query."""

    def __init__(self, schools: Mapping[int, list[int]] | None = None) -> None:
        self.schools = dict(schools or {})
        self.asked: list[list[Any]] = []
        self.error: Exception | None = None

    async def look_up(self, sql: str, keys: Sequence[Any]) -> dict[Any, dict[str, Any]]:
        """The schools of the students ``keys``."""
        self.asked.append(sorted(keys))
        if self.error is not None:
            raise self.error
        return {key: {"school_ids": self.schools[key]} for key in keys if key in self.schools}

    async def look_up_reverse(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """The students of the schools ``values``."""
        return [student for student, schools in self.schools.items() if set(schools) & set(values)]


class Recorder:
    """An outlet that keeps what it is given. ``full`` makes it refuse."""

    def __init__(self) -> None:
        self.bundles: list[Bundle] = []
        self.resyncs: list[tuple[frozenset[str], str]] = []
        self.full = False
        self.order: list[str] = []

    def offer(self, bundle: Bundle) -> bool:
        """Keep a bundle."""
        if self.full:
            return False
        self.bundles.append(bundle)
        self.order.append("bundle")
        return True

    def resync(self, channels: frozenset[str], reason: str) -> None:
        """Keep a resync."""
        self.resyncs.append((channels, reason))
        self.order.append("resync")

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All messages so far, decoded."""
        return [jsontext.decode(text) for bundle in self.bundles for text in bundle.messages]

    def drain(self) -> list[dict[str, Any]]:
        """The messages so far, decoded, and forgotten."""
        messages = self.messages
        self.bundles.clear()
        return messages


def told(messages: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """(event id, action, membership) of the data messages, and (type,) of all others."""
    return [
        (each["id"], each["data"]["action"], each.get("membership")) if "data" in each else (each["type"],)
        for each in messages
    ]
