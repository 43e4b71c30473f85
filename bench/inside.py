"""Routing without database and sockets: changes made up, outlets that only count."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from bench.serving import CONFIG
from relay.capture.batch import Batch
from relay.capture.change import Change
from relay.capture.snapshot import Snapshot
from relay.config import Settings, load
from relay.gateway.wire import text_frame
from relay.routing.channel import Channel, compile_channels
from relay.routing.outlet import Bundle
from relay.routing.prepare import Preparer

__all__ = ["CountingOutlet", "NoLookUps", "batch_of", "channels", "payments", "settings"]

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def settings(**environment: str) -> Settings:
    """Those of bench/relay.toml; nothing is connected to unless ``environment`` says where."""
    defaults = {
        "RELAY_DATABASE__DSN": "host=nowhere",
        "RELAY_AUTH__SECRETS": "a secret that signs nothing of value",
    }
    return load(CONFIG, {**defaults, **environment})


def channels() -> Mapping[str, Channel]:
    """The channel of bench/relay.toml."""
    return compile_channels(settings().channels)


class NoLookUps:
    """The channel has none, so nobody asks."""

    async def look_up(self, sql: str, keys: object) -> Mapping[object, Mapping[str, object]]:
        """Nothing."""
        return {}

    async def look_up_reverse(self, sql: str, values: object) -> list[object]:
        """Nothing."""
        return []


class CountingOutlet:
    """A connection up to, but not including, the system call."""

    __slots__ = ("bytes", "messages", "writes")

    def __init__(self) -> None:
        self.writes = self.messages = self.bytes = 0

    def offer(self, bundle: Bundle) -> bool:
        """Frame, and count what would be written."""
        self.bytes += len(bundle.wire(text_frame))
        self.messages += len(bundle.messages)
        self.writes += 1
        return True

    def resync(self, channels: frozenset[str], reason: str) -> None:
        """Never: nothing is made void here."""
        raise AssertionError(f"resync of {channels}: {reason}")


def payments(first: int, number: int) -> list[Change]:
    """So many payments as the reader would bring them, one transaction each, by 5,000 students."""
    return [
        Change(id, 1000 + id, NOW, "bench.watched", "insert", {"id": id}, _image(id), None)
        for id in range(first, first + number)
    ]


def _image(id: int) -> dict[str, object]:
    return {
        "id": id, "student_id": id % 5000, "transaction_type": "package", "amount": Decimal("123.45"),
        "payment_status": "pending", "stripe_payment_intent_id": f"pi_{id:036}",
        "metadata": {"student_name": "Ada Lovelace", "plan_name": "Ten lessons"},
        "created_at": "2026-03-01T12:30:00.123456+00:00", "updated_at": "2026-03-01T12:30:00.123456+00:00",
    }  # fmt: skip


def batch_of(changes: list[Change]) -> Batch:
    """A batch that ends with the last of ``changes``."""
    end = Snapshot.parse(f"{changes[-1].xid + 1}:{changes[-1].xid + 1}:")
    return Batch(tuple(changes), end, NOW, f"cursor-{changes[-1].id}", None, clamped=end)


def preparer(known: Mapping[str, Channel]) -> Preparer:
    """A preparer for channels without look-ups."""
    return Preparer(known, NoLookUps())
