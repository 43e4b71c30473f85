"""One condition on one field: the operators that clients' filters and policies' scopes share.

NULL is as in SQL: it satisfies ``is_null: true`` and nothing else, not even ``ne``. Strings compare by code point
(as COLLATE "C" does) and ``contains`` minds case.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import UTC, datetime
from decimal import MAX_PREC, Context, Decimal
from typing import Any

from relay import jsontext
from relay.messages.fields import FieldType

__all__ = [
    "EVERY_FIELD",
    "OPERATORS",
    "SCOPE_OPERATORS",
    "Condition",
    "Row",
    "canonical",
    "condition",
    "exact",
    "terms",
]

Row = Mapping[str, Any]
#: Whether a row passes, given which of its visible fields the event changed.
Test = Callable[[Row, Collection[str]], bool]

#: What clients may ask.
OPERATORS = ("eq", "ne", "in", "gt", "gte", "lt", "lte", "contains", "is_null", "changed")
#: What policies may say: states of rows only, and lists against lists.
SCOPE_OPERATORS = ("eq", "ne", "in", "gt", "gte", "lt", "lte", "contains", "is_null", "overlaps")

_ORDER_OPERATORS = frozenset({"gt", "gte", "lt", "lte"})
_LIST_OPERATORS = frozenset({"in", "overlaps"})
_FLAG_OPERATORS = frozenset({"is_null", "changed"})
_ANY_PRECISION = Context(prec=min(MAX_PREC, 10_000))


class _Everything(Collection[str]):
    """The ``changed`` of a row that is wholly new to whoever asks."""

    def __contains__(self, item: object) -> bool:
        return True

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


EVERY_FIELD: Collection[str] = _Everything()


@dataclass(frozen=True, slots=True)
class Condition:
    """``field`` ``op`` ``operand``; ``test`` decides. Lists are tuples without repetition, in canonical order."""

    field: str
    op: str
    operand: Any
    test: Test = attribute(compare=False, repr=False)

    @property
    def keys(self) -> tuple[Any, ...] | None:
        """The values of which a row's field must have (or, for ``overlaps``, contain) one to pass; None: any might.

        They are in the form of :func:`exact`.
        """
        if self.op == "eq":
            return (exact(self.operand),)
        return tuple(map(exact, self.operand)) if self.op in _LIST_OPERATORS else None


def exact(value: Any) -> Any:
    """A form of a JSON scalar in which ``True`` and ``1`` differ, as they do on the wire. Numbers equal by value."""
    return (bool, value) if value is True or value is False else value


def terms(spec: Any) -> Iterable[tuple[str, Any]]:
    """The operators and operands that one field's part of a filter stands for: ``value``, ``[values]``, ``{op: x}``.

    A bare null asks for ``is_null``. Raises ValueError for an empty object.
    """
    if isinstance(spec, Mapping):
        if not spec:
            raise ValueError("an operator")
        return [(str(op), raw) for op, raw in spec.items()]
    if isinstance(spec, list | tuple):
        return [("in", spec)]
    return [("is_null", True)] if spec is None else [("eq", spec)]


def condition(name: str, op: str, raw: Any, kind: FieldType, longest_list: int) -> Condition:
    """The condition that field ``name`` of ``kind`` stands in relation ``op`` to the JSON operand ``raw``.

    ``op`` is one of the operators above. Raises ValueError with what is expected, never with the operand.
    """
    if op in ("eq", "ne") and raw is None:
        op, raw = "is_null", op == "eq"
    if op in _ORDER_OPERATORS and not kind.ordered:
        raise ValueError(f"a field with an order, and {name} is {kind.name}")
    if op in _FLAG_OPERATORS:
        if not isinstance(raw, bool):
            raise ValueError("true or false")
        return Condition(name, op, raw, _TESTS[op](name, raw))
    if op in _LIST_OPERATORS:
        if not isinstance(raw, list | tuple):
            raise ValueError("a list")
        if len(raw) > longest_list:
            raise ValueError(f"at most {longest_list} values")
        if None in raw:
            raise ValueError("a list without null; ask for is_null beside it in any_of")
        # The elements of a list-valued field are JSON scalars whatever the field's own kind is.
        values = {exact(v): v for v in (_element(x) if op == "overlaps" else kind.operand(x) for x in raw)}
        operand = tuple(sorted(values.values(), key=canonical))
        return Condition(name, op, operand, _TESTS[op](name, operand))
    if op == "contains" and kind.name not in ("string", "json", "auto"):
        raise ValueError(f"a text or JSON field, and {name} is {kind.name}")
    value = kind.operand(raw)
    return Condition(name, op, value, _TESTS[op](name, value))


def canonical(value: Any) -> str:
    """Text that is the same for operands that mean the same: ``100`` and ``100.00``, one moment in two zones."""
    if isinstance(value, tuple):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, Decimal):
        return f"n{value.normalize(_ANY_PRECISION)}" if value else "n0"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return jsontext.encode(value).decode()


def _element(raw: Any) -> Any:
    if isinstance(raw, str | bool | int | Decimal):
        return raw
    raise ValueError("a list of strings, numbers, true or false")


def _eq(name: str, operand: Any) -> Test:
    wanted = exact(operand)

    def test(row: Row, changed: Collection[str]) -> bool:
        return bool(exact(row[name]) == wanted)

    return test


def _ne(name: str, operand: Any) -> Test:
    unwanted = exact(operand)

    def test(row: Row, changed: Collection[str]) -> bool:
        value = row[name]
        return value is not None and bool(exact(value) != unwanted)

    return test


def _in(name: str, operand: tuple[Any, ...]) -> Test:
    wanted = frozenset(map(exact, operand))

    def test(row: Row, changed: Collection[str]) -> bool:
        value = row[name]
        return not isinstance(value, list | dict) and exact(value) in wanted

    return test


def _overlaps(name: str, operand: tuple[Any, ...]) -> Test:
    wanted = frozenset(map(exact, operand))

    def test(row: Row, changed: Collection[str]) -> bool:
        value = row[name]
        if isinstance(value, list):
            return any(not isinstance(x, list | dict) and exact(x) in wanted for x in value)
        return not isinstance(value, dict) and exact(value) in wanted

    return test


def _contains(name: str, operand: Any) -> Test:
    wanted = exact(operand)

    def test(row: Row, changed: Collection[str]) -> bool:
        value = row[name]
        if isinstance(value, str):
            return isinstance(operand, str) and operand in value
        return isinstance(value, list) and any(exact(x) == wanted for x in value)

    return test


def _is_null(name: str, operand: bool) -> Test:
    def test(row: Row, changed: Collection[str]) -> bool:
        return (row[name] is None) is operand

    return test


def _changed(name: str, operand: bool) -> Test:
    def test(row: Row, changed: Collection[str]) -> bool:
        return (name in changed) is operand

    return test


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[str, Any], Test]:
    def make(name: str, operand: Any) -> Test:
        def test(row: Row, changed: Collection[str]) -> bool:
            value = row[name]
            return value is not None and holds(value, operand)

        return test

    return make


_TESTS: Mapping[str, Callable[[str, Any], Test]] = {
    "eq": _eq,
    "ne": _ne,
    "in": _in,
    "gt": _ordered(lambda value, bound: bool(value > bound)),
    "gte": _ordered(lambda value, bound: bool(value >= bound)),
    "lt": _ordered(lambda value, bound: bool(value < bound)),
    "lte": _ordered(lambda value, bound: bool(value <= bound)),
    "contains": _contains,
    "is_null": _is_null,
    "changed": _changed,
    "overlaps": _overlaps,
}
