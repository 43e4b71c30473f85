"""A subscriber's filter: parsed once, refused by name when it asks for what it may not, matched many times.

    {"status": "failed"}                       field equals value
    {"status": ["failed", "refunded"]}         field is one of
    {"amount": {"gte": "100", "lt": "200"}}    operators
    {"status": "failed", "any_of": [{"amount": {"gt": "100"}}, {"currency": "usd"}]}

All fields must hold, and of ``any_of`` at least one alternative. A filter with ``changed`` chooses events rather than
rows: such an event is one in which the field's value differs from before, or the row is new to the subscriber.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from relay.errors import FilterRefused
from relay.messages.fields import FieldType
from relay.routing.conditions import OPERATORS, Condition, Row, canonical, condition, terms

__all__ = ["ANY_OF", "EVERYTHING", "Filter", "FilterLimits", "parse"]

#: The one key of a filter that is no field; no channel may have a field of this name.
ANY_OF = "any_of"


class FilterLimits(Protocol):
    """The part of ``[limits]`` that bounds a filter."""

    @property
    def filter_conditions(self) -> int: ...

    @property
    def filter_in(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that must all hold, and alternatives of which one must (none given: no alternatives needed).

    ``canonical`` is equal for filters that mean the same by their form: order, shorthand and ``100`` / ``100.0``
    make no difference.
    """

    all_of: tuple[Condition, ...] = ()
    any_of: tuple[tuple[Condition, ...], ...] = ()
    canonical: str = "{}"

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition, wherever it stands."""
        return self.all_of + tuple(c for alternative in self.any_of for c in alternative)

    def matches(self, row: Row, changed: Collection[str]) -> bool:
        """Whether ``row`` passes; ``changed`` names the visible fields that the event changed."""
        for one in self.all_of:
            if not one.test(row, changed):
                return False
        if not self.any_of:
            return True
        return any(all(one.test(row, changed) for one in alternative) for alternative in self.any_of)


#: The filter of a subscriber that asked for none.
EVERYTHING = Filter()


def parse(spec: Any, fields: Mapping[str, FieldType], limits: FilterLimits) -> Filter:
    """The filter that a client's JSON asks for, over the ``fields`` this subscriber may see.

    Raises FilterRefused naming the field or operator, and what would be accepted.
    """
    if spec is None or spec == {}:
        return EVERYTHING
    if not isinstance(spec, Mapping):
        raise FilterRefused('a filter is an object of fields, for instance {"status": "failed"}')
    always = {name: part for name, part in spec.items() if name != ANY_OF}
    all_of = _conditions(always, fields, limits)
    any_of: tuple[tuple[Condition, ...], ...] = ()
    if ANY_OF in spec:
        alternatives = spec[ANY_OF]
        if not isinstance(alternatives, list) or not alternatives:
            raise FilterRefused("any_of takes a list of at least one filter; leave it out for none")
        parsed = {_canonical(each): each for each in (_alternative(a, fields, limits) for a in alternatives)}
        any_of = tuple(parsed[text] for text in sorted(parsed))
    found = Filter(all_of, any_of)
    if len(found.conditions) > limits.filter_conditions:
        raise FilterRefused(
            f"a filter has at most {limits.filter_conditions} conditions; ask for less at once"
        )
    text = _canonical(all_of) + "".join(f"|{_canonical(alternative)}" for alternative in any_of)
    return Filter(all_of, any_of, text)


def _alternative(spec: Any, fields: Mapping[str, FieldType], limits: FilterLimits) -> tuple[Condition, ...]:
    if not isinstance(spec, Mapping):
        raise FilterRefused("each alternative of any_of is an object of fields")
    if ANY_OF in spec:
        raise FilterRefused("any_of may not stand inside any_of; write the alternatives in one list")
    return _conditions(spec, fields, limits)


def _conditions(
    spec: Mapping[str, Any], fields: Mapping[str, FieldType], limits: FilterLimits
) -> tuple[Condition, ...]:
    found: dict[str, Condition] = {}
    for name, part in spec.items():
        kind = fields.get(name)
        if kind is None:
            # The same words for a hidden field: its existence is nobody's business.
            raise FilterRefused(
                f"field {_quoted(name)} cannot be filtered on; use one of {', '.join(fields)}"
            )
        try:
            asked = list(terms(part))
        except ValueError:
            raise FilterRefused(f"field {name}: name an operator, one of {', '.join(OPERATORS)}") from None
        for op, raw in asked:
            if op not in OPERATORS:
                raise FilterRefused(
                    f"field {name}: there is no operator {_quoted(op)}; use one of {', '.join(OPERATORS)}"
                )
            try:
                one = condition(name, op, raw, kind, limits.filter_in)
            except ValueError as expected:
                raise FilterRefused(f"field {name}: {op} expects {expected}") from None
            found[_canonical((one,))] = one
    return tuple(found[text] for text in sorted(found))


def _canonical(conditions: tuple[Condition, ...]) -> str:
    return "{" + ",".join(f"{c.field} {c.op} {canonical(c.operand)}" for c in conditions) + "}"


def _quoted(text: Any) -> str:
    return canonical(str(text)[:64])
