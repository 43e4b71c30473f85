"""What of a row leaves the house: the visible fields in their JSON form, and which of them an update changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.messages.fields import FieldType, same_text
from relay.routing.conditions import Row
from relay.routing.masks import ABSENT, Mask

__all__ = ["UNSCANNED", "MaskedProjection", "Projection"]

#: Where a row keeps the values that the last-line scan took something from.
UNSCANNED = "\x00unscanned"
#: The masks that leave less of such a value than the scan does. The others leave nothing of it.
_LEAST = frozenset({"last4", "hash", "redact"})


class Projection:
    """The fields some subscribers see. ``status`` is the field whose change makes an update ``status_changed``, or "".

    ``filterable`` are the kinds of the fields that a filter may name, ``masks`` the names of the masks over the others.
    ``canonical`` is equal for projections of one channel that show the same.

    Projections are compared by identity: all groups that see the same share one, and so share encoded messages.
    """

    __slots__ = ("_convert", "_loose", "_wire", "canonical", "fields", "filterable", "masks", "status")

    def __init__(self, fields: Mapping[str, FieldType], status: str = "") -> None:
        self.fields = tuple(fields)
        self.filterable = dict(fields)
        self.status = status if status in fields else ""
        self.canonical = ""
        self.masks: Mapping[str, str] = {}
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
        """One visible field as JSON holds it; None where it leaves the row."""
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


class MaskedProjection(Projection):
    """As :class:`Projection`, with ``masks`` over some fields. What a mask cannot be applied to leaves the row.

    A masked field counts as changed if what is shown of it did. ``names`` are the masks' names, ``key_mark`` tells
    the key of ``hash``.
    """

    __slots__ = ("_least", "_masks", "_plain")

    def __init__(
        self,
        fields: Mapping[str, FieldType],
        status: str,
        masks: Mapping[str, Mask],
        names: Mapping[str, str],
        key_mark: str = "",
    ) -> None:
        kept = {name: kind for name, kind in fields.items() if names.get(name) != "drop"}
        super().__init__(kept, status)
        self._masks = {name: masks[name] for name in kept if name in masks}
        self._least = frozenset(name for name, mask in names.items() if mask in _LEAST)
        self._plain = Projection({name: kind for name, kind in kept.items() if name not in masks})
        self.filterable = self._plain.filterable
        self.masks = dict(names)
        used = "hash" in names.values()
        self.canonical = ",".join(f"{name}={names[name]}" for name in fields if name in names) + (
            f"@{key_mark}" if used else ""
        )

    def wire(self, row: Row) -> dict[str, Any]:
        """The visible fields as JSON holds them, masked; those whose mask cannot be applied are left out."""
        shown = super().wire(row)
        for name in self._masks:
            value = shown[name] = self._masked(name, row)
            if value is ABSENT:
                del shown[name]
        return shown

    def shown(self, name: str, row: Row) -> Any:
        """One visible field as JSON holds it, masked; None where it leaves the row."""
        if name not in self._masks:
            return super().shown(name, row)
        value = self._masked(name, row)
        return None if value is ABSENT else value

    def changed(self, old: Row, new: Row) -> tuple[str, ...]:
        """The visible fields that look different, in order of declaration."""
        changed = set(self._plain.changed(old, new))
        changed.update(name for name in self._masks if self._masked(name, old) != self._masked(name, new))
        return tuple(name for name in self.fields if name in changed)

    def _masked(self, name: str, row: Row) -> Any:
        value, convert = row[name], self._wire[name]
        unscanned = row.get(UNSCANNED)
        if unscanned is not None and name in unscanned:
            if name not in self._least:
                return ABSENT
            value = unscanned[name]
        return self._masks[name](value if convert is None or value is None else convert(value))
