"""Which conditions of a view Postgres can check for a snapshot, so that fewer rows travel.

A condition is only ever handed down where Postgres and Python agree; every row that comes back is matched again here,
so what matters is that nothing which matches is left out. ``complete`` says that nothing is left to match here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from relay.capture.tables import SqlCondition
from relay.routing.channel import Field, Lookup
from relay.routing.conditions import Condition
from relay.routing.view import View

__all__ = ["Narrowed", "narrow"]

#: Asks a look-up the other way round: the keys whose result holds one of the values.
Reverse = Callable[[Lookup, Sequence[Any]], Awaitable[Sequence[Any]]]

_COMPARED = {"eq", "in", "gt", "gte", "lt", "lte"}
_TEXTS = frozenset({"text", "character varying", "varchar"})
_NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric"})
#: Column types whose values compare in Postgres as the field's kind compares here.
_AGREE = {
    "string": _TEXTS,
    "integer": _NUMBERS,
    "decimal": _NUMBERS,
    "timestamp": frozenset({"timestamp with time zone"}),
    "boolean": frozenset({"boolean"}),
}


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Conditions on columns, ANDed. ``complete``: a row that meets them is one that the view wants."""

    conditions: tuple[SqlCondition, ...]
    complete: bool


async def narrow(view: View, reverse: Reverse) -> Narrowed:
    """What of ``view``'s scope and filter can be said about columns. Raises what ``reverse`` raises."""
    conditions = (*view.scope.conditions, *view.filter.all_of)
    handed: list[SqlCondition] = []
    complete = not view.filter.any_of
    for one in conditions:
        field = view.channel.fields[one.field]
        found = column_condition(field, one)
        if found is None and field.lookup and one.keys is not None:
            found = await _by_reverse(view.channel.lookups[field.lookup], one, reverse)
            # Look-ups are cached, and the reverse query is another query: only the look-up itself decides.
            complete = False
        if found is None:
            complete = False
        else:
            handed.append(found)
    return Narrowed(tuple(handed), complete)


async def _by_reverse(lookup: Lookup, one: Condition, reverse: Reverse) -> SqlCondition | None:
    if not lookup.reverse:
        return None
    keys = await reverse(lookup, list(one.operand if isinstance(one.operand, tuple) else (one.operand,)))
    return SqlCondition(lookup.key, "in", tuple(str(key) for key in keys))


def column_condition(field: Field, one: Condition) -> SqlCondition | None:
    """``one`` as a condition on the field's column; None where only Python can tell."""
    if not field.column or field.keys or field.column_type is None:
        return None
    if one.op == "is_null" and field.default is None:
        return SqlCondition(field.column, "is_null" if one.operand else "not_null")
    if one.op not in _COMPARED or field.column_type not in _AGREE.get(field.kind.name, ()):
        return None
    if field.map or field.default is not None:
        return _mapped(field, one)
    values = one.operand if one.op == "in" else (one.operand,)
    return SqlCondition(field.column, one.op, tuple(map(_text, values)))  # type: ignore[arg-type]  # one of _COMPARED


def _mapped(field: Field, one: Condition) -> SqlCondition | None:
    """The raw values that the field's map turns into a wanted one. Those that map to nothing stand for themselves."""
    if one.op not in ("eq", "in") or field.default is not None or field.column_type not in _TEXTS:
        return None
    wanted = set(one.operand if one.op == "in" else (one.operand,))
    raw = {source for source, target in field.map.items() if target in wanted}
    raw |= {value for value in wanted if value not in field.map}
    return SqlCondition(field.column, "in", tuple(sorted(raw)))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
