"""Memory compared with the database: what was in memory at the very snapshot that SQL was asked under.

By the time the answer has come, memory has gone on. Sums can go back: the changes that the snapshot does not show are
taken out, the values read, and the changes put in again, all in one call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from relay.capture.change import Change, Operation
from relay.capture.snapshot import Snapshot
from relay.routing.aggregates.engine import Engine, Values
from relay.routing.aggregates.minutes import minute_at

__all__ = ["Audit", "Difference", "differences"]

_INVERSE: Final[Mapping[str, Operation]] = {"insert": "delete", "delete": "insert", "update": "update"}


class Difference(NamedTuple):
    """A value that is not the one in the database. ``name`` is for instance ``metrics.success_rate_24h``."""

    name: str
    memory: Any
    database: Any


@dataclass(eq=False)
class Audit:
    """The changes that were published since it was opened. ``void``: in between, everything was counted anew."""

    void: bool
    changes: list[Change] = field(default_factory=list)

    def rewound(self, engine: Engine, minute: int, snapshot: Snapshot, now: datetime) -> Values | None:
        """The engine's values without what ``snapshot`` does not show; None if the clock has moved on a minute."""
        if minute != minute_at(now):
            return None
        late = [change for change in self.changes if not snapshot.sees(change.xid)]
        for change in reversed(late):
            engine.apply(replace(change, op=_INVERSE[change.op], old=change.new, new=change.old))
        values = engine.values()
        for change in late:
            engine.apply(change)
        return values


def differences(memory: Values, database: Mapping[str, Mapping[str, Any]]) -> list[Difference]:
    """Where the two do not agree: every name that either has, and every point of a trend."""
    found = []
    for section in sorted(memory.keys() | database.keys()):
        ours, theirs = memory.get(section, {}), database.get(section, {})
        for name in sorted(ours.keys() | theirs.keys()):
            one, other = ours.get(name), theirs.get(name)
            if not _same(one, other):
                found.append(Difference(f"{section}.{name}", one, other))
    return found


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, str) and isinstance(other, Decimal):
        return Decimal(one) == other
    return bool(one == other)
