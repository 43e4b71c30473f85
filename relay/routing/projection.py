"""What of a row leaves the house: the visible fields in their JSON form, and which of them an update changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.messages.fields import FieldType, same_text
from relay.routing.conditions import Row

__all__ = ["Projection"]


class Projection:
    """The fields some subscribers see. ``status`` is the field whose change makes an update ``status_changed``, or "".

    Projections are compared by identity: all groups that see the same share one, and so share encoded messages.
    """

    __slots__ = ("_convert", "_loose", "_wire", "fields", "status")

    def __init__(self, fields: Mapping[str, FieldType], status: str = "") -> None:
        self.fields = tuple(fields)
        self.status = status if status in fields else ""
        self._wire = {name: kind.wire for name, kind in fields.items()}
        self._convert = tuple((name, kind.wire) for name, kind in fields.items() if kind.wire is not None)
        self._loose = frozenset(name for name, kind in fields.items() if kind.loose)

    def wire(self, row: Row) -> dict[str, Any]:
        """The visible fields as JSON holds them."""
        shown = {name: row[name] for name in self.fields}
        for name, convert in self._convert:
            value = shown[name]
            if value is not None:
                shown[name] = convert(value)
        return shown

    def shown(self, name: str, row: Row) -> Any:
        """One visible field as JSON holds it."""
        value, convert = row[name], self._wire[name]
        return value if convert is None or value is None else convert(value)

    def changed(self, old: Row, new: Row) -> tuple[str, ...]:
        """The visible fields whose value on the wire differs, in order of declaration."""
        loose = self._loose
        return tuple(
            [
                name
                for name in self.fields
                if (before := old[name]) is not (after := new[name])
                and (
                    before != after
                    # Equal strings are the same text; that much needs no call.
                    or (before.__class__ is not str and name in loose and not same_text(before, after))
                )
            ]
        )
