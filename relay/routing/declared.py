"""What a compiled channel is made of: its fields and its look-ups, as they were declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from relay.messages.fields import FieldType

__all__ = ["Field", "Lookup"]


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field. ``column_type`` is the database's name of the column's type, where known.

    ``scanned``: clients see it and it may hold free text, so it goes through :mod:`relay.routing.scrub`.
    """

    name: str
    kind: FieldType
    column: str = ""
    column_type: str | None = None
    constant: Any = None
    lookup: str = ""
    lookup_column: str = ""
    map: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    key: str = ""
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    blank: bool = True
    required: bool = False
    default: Any = None
    hidden: bool = False
    scanned: bool = False

    @property
    def partial(self) -> bool:
        """Whether only some of the stored values show, or a part of them."""
        return bool(self.keys or self.key or self.only or not self.blank)

    @property
    def treated(self) -> bool:
        """Whether anything at all is done to the stored value."""
        return bool(self.partial or self.map or self.default is not None)


@dataclass(frozen=True, slots=True)
class Lookup:
    """One declared look-up. ``reads`` maps each table it reads to the columns that matter.

    ``keyed_by`` maps a table to its column that holds the look-up's key, where the SQL proves that a row of the table
    bears on that key alone; a change in a table that is missing here may bear on any key. ``gathered`` maps a table to
    those columns of the result that are lists of the values of one of its columns. ``announce``: a result that changes
    is told as an update of the rows it belongs to.
    """

    channel: str
    name: str
    key: str
    sql: str
    reverse: str
    reads: Mapping[str, tuple[str, ...]]
    keyed_by: Mapping[str, str]
    announce: bool
    gathered: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def id(self) -> tuple[str, str]:
        """(channel, look-up): what names it everywhere."""
        return self.channel, self.name
