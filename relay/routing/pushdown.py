"""Which conditions of a view Postgres can check for a snapshot, so that fewer rows travel.

A condition is only ever handed down where Postgres and Python agree; every row that comes back is matched again here,
so what matters is that nothing which matches is left out, and that no operand makes the statement fail. ``complete``
says that nothing is left to match here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from relay.capture.rows import SqlCondition
from relay.routing.channel import Channel, Field, Lookup
from relay.routing.conditions import Condition
from relay.routing.scan import REMOVED, clean_text
from relay.routing.view import View

__all__ = ["Narrowed", "column_condition", "narrow"]

#: Asks a look-up the other way round: the keys whose result holds one of the values.
Reverse = Callable[[Lookup, Sequence[Any]], Awaitable[Sequence[Any]]]

_COMPARED = frozenset({"eq", "in", "gt", "gte", "lt", "lte"})
_EQUAL = frozenset({"eq", "in"})
_TEXTS = frozenset({"text", "character varying", "varchar"})
_BITS = {"smallint": 15, "int2": 15, "integer": 31, "int4": 31, "bigint": 63, "int8": 63}
_NUMBERS = frozenset(_BITS) | {"numeric"}
_JSON = frozenset({"json", "jsonb"})
#: Column types whose values compare in Postgres as the field's kind compares here.
_AGREE = {
    "string": _TEXTS,
    "integer": _NUMBERS,
    "bigint": _NUMBERS,
    "decimal": _NUMBERS,
    "number": _NUMBERS,
    "timestamp": frozenset({"timestamp with time zone", "timestamptz"}),
    "boolean": frozenset({"boolean", "bool"}),
}


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Conditions on columns, ANDed. ``complete``: a row that meets them is one that the view wants."""

    conditions: tuple[SqlCondition, ...]
    complete: bool


async def narrow(view: View, reverse: Reverse) -> Narrowed:
    """What of ``view``'s scope and filter can be said about columns. Raises what ``reverse`` raises."""
    channel = view.channel
    handed: list[SqlCondition] = []
    complete = not view.filter.any_of
    for one in (*view.scope.conditions, *view.filter.all_of):
        found = column_condition(channel.fields[one.field], one)
        if found is None and one in view.scope.conditions:
            found = await _by_reverse(channel, one, reverse)
            # Look-ups are cached, and the reverse query is another query: only the look-up itself decides.
            complete = False
        if found is None:
            complete = False
        else:
            handed.append(found)
    return Narrowed(tuple(handed), complete)


async def _by_reverse(channel: Channel, one: Condition, reverse: Reverse) -> SqlCondition | None:
    field = channel.fields[one.field]
    lookup = channel.lookups.get(field.lookup)
    if lookup is None or not lookup.reverse or one.keys is None or field.map or field.partial:
        return None
    if _default_passes(field, one):
        return None
    # ``reverse`` does not say which of the look-up's columns it searches; with one field there is no doubt.
    if sum(each.lookup == field.lookup for each in channel.fields.values()) > 1:
        return None
    keys = await reverse(lookup, list(one.operand if isinstance(one.operand, tuple) else (one.operand,)))
    return SqlCondition(lookup.key, "in", tuple(str(key) for key in keys))


def column_condition(field: Field, one: Condition) -> SqlCondition | None:
    """``one`` as a condition on the field's column; None where only Python can tell."""
    if not field.column or field.partial or field.column_type is None or _default_passes(field, one):
        # Where the default passes, rows with NULL have to come along.
        return None
    if one.op == "is_null":
        # A JSON null is a value to Postgres and none here; and a default has no NULL left to ask for.
        if field.column_type in _JSON or field.default is not None:
            return None
        return SqlCondition(field.column, "is_null" if one.operand else "not_null")
    if one.op not in _COMPARED:
        return None
    wanted = one.operand if one.op == "in" else (one.operand,)
    if field.scanned and (one.op not in _EQUAL or not all(map(_means_itself, wanted))):
        return None
    if field.map:
        return _mapped(field, one.op, wanted)
    if field.kind.name == "string" and field.column_type in _BITS and one.op in _EQUAL:
        # An id that leaves as a string: "7" is the row 7, while "07" and "x" are none.
        wanted = tuple(int(text) for text in wanted if _is_integer(text))
    elif field.column_type not in _AGREE.get(field.kind.name, ()):
        return None
    texts = [_text(value) for value in wanted]
    if not all(_fits(text, field.column_type) for text in texts):
        return None
    return SqlCondition(field.column, "in" if one.op == "eq" and len(texts) != 1 else one.op, tuple(texts))  # type: ignore[arg-type]  # one of _COMPARED


def _mapped(field: Field, op: str, wanted: Sequence[Any]) -> SqlCondition | None:
    """The raw values that the field's map turns into a wanted one. Those that map to nothing stand for themselves."""
    if op not in _EQUAL or field.column_type not in _TEXTS:
        return None
    raw = {source for source, target in field.map.items() if target in wanted}
    raw |= {value for value in wanted if value not in field.map}
    if any("\x00" in value for value in raw):
        return None
    return SqlCondition(field.column, "in", tuple(sorted(raw)))


def _default_passes(field: Field, one: Condition) -> bool:
    return field.default is not None and one.test({field.name: field.default}, ())


def _means_itself(value: Any) -> bool:
    """Whether to be ``value`` is the same before and after the scan, which Postgres knows nothing of.

    Order is not: handed down, comparisons could be used to find out what was removed, bit by bit.
    """
    return isinstance(value, str) and REMOVED not in value and clean_text(value) is value


def _is_integer(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20 and str(int(text)) == text


def _fits(text: str, column_type: str) -> bool:
    """Whether Postgres takes ``text`` for a value of the column's type, without rounding."""
    bits = _BITS.get(column_type)
    if bits is None:
        return "\x00" not in text
    return _is_integer(text) and -(2**bits) <= int(text) < 2**bits


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
