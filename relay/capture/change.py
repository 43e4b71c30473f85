"""One change of a watched table, as a typed value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from relay.errors import BadOutboxRow
from relay.jsontext import JSONError, decode

__all__ = ["OPERATIONS", "Change", "Operation", "parse"]

Operation = Literal["insert", "update", "delete", "truncate"]

OPERATIONS: Final[dict[str, Operation]] = {
    "insert": "insert",
    "update": "update",
    "delete": "delete",
    "truncate": "truncate",
}

_COLUMNS = 8


@dataclass(frozen=True, slots=True)
class Change:
    """What one outbox row says.

    ``id`` orders the changes of one row; ``xid`` is the transaction; ``at`` is aware, by the database's clock.
    ``source`` is ``schema.table``. ``key``, ``new`` and ``old`` are the listed columns as jsonb has them, numbers with
    a fraction as Decimal. ``key`` is None for truncate, and when a key column itself is gone.
    """

    id: int
    xid: int
    at: datetime
    source: str
    op: Operation
    key: dict[str, Any] | None
    new: dict[str, Any] | None
    old: dict[str, Any] | None

    @property
    def key_only(self) -> bool:
        """Whether the row's image could not be built (a dropped or renamed column): only the key is known."""
        return self.new is None and self.old is None and self.op != "truncate"


def parse(row: Sequence[Any]) -> Change:
    """The change in one row of ``queries.COLUMNS``: id as int, everything else as text.

    The texts are decoded here and not by the driver, so that one unreadable value costs one row and not a batch.
    Raises BadOutboxRow.
    """
    event_id = row[0] if row and isinstance(row[0], int) else None
    if len(row) != _COLUMNS or event_id is None:
        raise BadOutboxRow(event_id, "it has not the eight columns of an event")
    _, xid, at, source, op, key, new, old = row
    operation = OPERATIONS.get(op)
    if operation is None:
        raise BadOutboxRow(event_id, "its op is none of insert, update, delete, truncate")
    try:
        change = Change(
            event_id,
            int(xid),
            datetime.fromisoformat(at),
            source,
            operation,
            _image(key),
            _image(new),
            _image(old),
        )
    except (JSONError, TypeError, ValueError, OverflowError):
        # The cause is not chained: its text may quote the row.
        raise BadOutboxRow(event_id, "a value in it is not of its type") from None
    if change.at.tzinfo is None:
        raise BadOutboxRow(event_id, "its time has no zone")
    if not _consistent(change):
        raise BadOutboxRow(event_id, f"its images do not fit op {operation}")
    return change


def _image(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    value = decode(text)
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _consistent(change: Change) -> bool:
    if change.op == "insert":
        return change.old is None
    if change.op == "delete":
        return change.new is None
    if change.op == "truncate":
        return change.new is None and change.old is None
    return (change.new is None) == (change.old is None)
