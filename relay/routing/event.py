"""Prepared events: changes validated and enriched for one channel, from which messages are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from relay.routing.conditions import Row
from relay.routing.projection import UNSCANNED, Projection

__all__ = ["Fault", "Prepared", "PreparedEvent", "PreparedRows", "ScopeChange", "Truncation", "Values"]

#: Column of a look-up's result -> elements.
Values = Mapping[str, frozenset[Any]] | None


class PreparedEvent:
    """One change of one row as one channel sees it.

    ``new`` and ``old`` are whole rows; None means that there is none (insert, delete), that it is not valid, or that it
    is not known. ``lost`` means that one of them is not known: it was not captured, or a look-up failed. Unlike a row
    that is not valid, which nobody is ever shown, it may be somebody's all the same.

    ``fault`` says why the event is quarantined, "" if it is not: its present state cannot be shown to anybody.
    ``key`` holds the row's primary key columns, as captured. ``id`` is the event's id. ``between`` (its valid rows) and
    ``fleeting`` are those of :class:`relay.routing.coalesce.RowChange`.

    ``mapping`` is the fingerprint of the channel that made it: after a reload, rows of another one have other fields.
    Messages made from it are kept in ``encoded``, so that each is made once for all groups, and for replays.
    """

    __slots__ = (
        "_changed",
        "at",
        "between",
        "channel",
        "encoded",
        "fault",
        "fleeting",
        "id",
        "key",
        "lost",
        "mapping",
        "new",
        "old",
        "op",
        "xid",
    )

    def __init__(
        self,
        *,
        channel: str,
        mapping: str,
        id: str,
        xid: int,
        at: datetime,
        op: Literal["insert", "update", "delete"],
        new: Row | None,
        old: Row | None,
        key: Mapping[str, Any] | None,
        fault: str = "",
        lost: bool = False,
        between: tuple[Row, ...] | None = None,
        fleeting: bool = False,
    ) -> None:
        self.channel = channel
        self.mapping = mapping
        self.id = id
        self.xid = xid
        self.at = at
        self.op = op
        self.new = new
        self.old = old
        self.key = key
        self.fault = fault
        self.lost = lost
        self.between = between
        self.fleeting = fleeting
        self.encoded: dict[Any, bytes] = {}
        self._changed: tuple[tuple[Projection, tuple[str, ...]], ...] = ()

    @property
    def quarantined(self) -> bool:
        """Whether the row failed validation or was not captured."""
        return bool(self.fault)

    def changed(self, projection: Projection) -> tuple[str, ...]:
        """The fields of ``projection`` that this update changed. Both rows must be known."""
        for known, changed in self._changed:
            if known is projection:
                return changed
        assert self.old is not None
        assert self.new is not None
        changed = projection.changed(self.old, self.new)
        self._changed += ((projection, changed),)
        return changed

    def __repr__(self) -> str:
        # Never the rows: this ends up in tracebacks and logs.
        return f"<PreparedEvent {self.id} {self.op} on {self.channel}{' quarantined' if self.fault else ''}>"


@dataclass(frozen=True, slots=True)
class ScopeChange:
    """A look-up may give other results than before for rows that subscribers hold already.

    ``values``: in these columns of its result no other elements can have come or gone. In a column that is missing
    anything may have; None: in all of them.
    """

    channel: str
    lookup: str
    xid: int
    values: Values = None


@dataclass(frozen=True, slots=True)
class Truncation:
    """A channel's table was emptied by TRUNCATE."""

    channel: str
    xid: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to log and count. ``event_id`` is "" where no single event is meant; never any row content."""

    channel: str
    event_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a batch of changes means for the channels."""

    events: tuple[PreparedEvent, ...] = ()
    truncations: tuple[Truncation, ...] = ()
    scope_changes: tuple[ScopeChange, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def removals(self) -> Iterator[tuple[str, str]]:
        """(channel, field) of each value from which the last-line scan removed something."""
        for event in self.events:
            if event.new is not None and UNSCANNED in event.new:
                for name in event.new[UNSCANNED]:
                    yield event.channel, name


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """Rows of a snapshot, those that validate; ``faults`` counts the others."""

    rows: tuple[Row, ...]
    faults: tuple[Fault, ...] = ()

    @property
    def removals(self) -> Iterator[str]:
        """The field of each value from which the last-line scan removed something."""
        for row in self.rows:
            yield from row.get(UNSCANNED, ())
