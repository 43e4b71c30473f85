"""The kinds of values a field may have: how one is validated, compared, asked for in a filter, and written as JSON.

A field's kind is declared in the configuration or follows from the type of its database column. Amounts and other
exact numbers leave as JSON strings with the digits the database keeps; bigint leaves as a string unless ``integer``
was declared, for JavaScript cannot hold every bigint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AfterValidator

from relay import jsontext

__all__ = [
    "KINDS",
    "FieldType",
    "base_type",
    "kind_of_column",
    "may_be_text",
    "never_fits",
    "plain",
    "same_text",
]

#: Beyond this, JavaScript rounds integers (ECMAScript, Number.MAX_SAFE_INTEGER).
SAFE_INTEGER = 2**53 - 1
#: Numbers below 10 to the power of this plus one fit into a JavaScript number.
LARGEST_EXPONENT = 307
#: PostgreSQL's numeric has at most 131,072 digits before the point and 16,383 after it.
NUMERIC_DIGITS = 131_072
#: A filter operand with more digits is a mistake or an attack: no wider numeric can be declared.
OPERAND_DIGITS = 1000

_INTEGER = re.compile(r"-?\d{1,19}")


@dataclass(frozen=True, slots=True)
class FieldType:
    """One kind of value.

    ``annotation`` is what the row model validates (NULL is always allowed beside it). ``wire`` turns a value into
    what JSON holds, None where the value is that already. ``operand`` turns a filter's JSON operand into a value
    to compare with; it raises ValueError saying what is expected. ``loose`` values can be equal in Python and yet
    differ as JSON text (``1`` and ``true``, ``5`` and ``5.0``).
    """

    name: str
    annotation: Any
    wire: Callable[[Any], Any] | None
    operand: Callable[[Any], Any]
    ordered: bool
    loose: bool = False

    def __repr__(self) -> str:
        return f"<{self.name}>"


def digits(value: Decimal) -> str:
    """The number without exponent, all digits kept: ``150.00`` stays ``150.00``. Wider than any ``numeric`` can be, it
    was made up by somebody: written out, ``1e999999999`` would take a gigabyte.
    """
    return format(value, "f" if abs(value.adjusted()) <= NUMERIC_DIGITS else "")


def plain(value: Any) -> Any:
    """A value from a database driver as one that JSON text could have held, lists and objects included.

    Numbers, strings, booleans, None and timestamps stay; what else there is (uuid, date, interval) becomes its text.
    """
    if value is None or isinstance(value, str | bool | int | Decimal):
        return value
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def same_text(one: Any, other: Any) -> bool:
    """Whether two values that Python takes for equal are the same JSON text, too: 1 and true are not, nor 5 and 5.0."""
    if one.__class__ is not other.__class__ or isinstance(one, list | dict):
        return jsontext.encode(one) == jsontext.encode(other)
    return not one.compare_total(other) if isinstance(one, Decimal) else True


def _utc(value: datetime) -> datetime:
    # "timestamp without time zone" carries no zone; UTC is what backends that use it mean, and what we document.
    # One zone for all, for moments in different zones compare ten times as slowly.
    try:
        return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)
    except OverflowError:
        # The end of the year 9999 in New York: "for ever" to whoever wrote it, and no moment that Python knows in UTC.
        raise ValueError("out of range") from None


def _representable(value: Decimal) -> Decimal:
    # RFC 8259 §6: what IEEE 754 binary64 cannot hold, most readers of JSON turn into infinity or an error.
    if value.adjusted() > LARGEST_EXPONENT:
        raise ValueError("out of range")
    return value


def _undeclared(value: Any) -> Any:
    if isinstance(value, Decimal):
        return digits(value)
    if isinstance(value, int) and not -SAFE_INTEGER <= value <= SAFE_INTEGER:
        return str(value)
    return value


def _string(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    raise ValueError("a string")


def _integer(raw: Any) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and _INTEGER.fullmatch(raw):
        return int(raw)
    raise ValueError("an integer")


def _decimal(raw: Any) -> Decimal:
    if isinstance(raw, int | str | Decimal) and not isinstance(raw, bool):
        try:
            value = Decimal(raw)
        except InvalidOperation:
            value = Decimal("NaN")
        if value.is_finite() and abs(value.adjusted()) <= OPERAND_DIGITS >= len(value.as_tuple().digits):
            return value
    raise ValueError('a number, best as a string such as "150.00"')


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    raise ValueError("true or false")


def _timestamp(raw: Any) -> datetime:
    if isinstance(raw, str):
        try:
            return _utc(datetime.fromisoformat(raw))
        except (ValueError, OverflowError):
            pass
    raise ValueError('an ISO 8601 timestamp such as "2026-01-31T12:00:00Z"')


def _scalar(raw: Any) -> Any:
    if isinstance(raw, str | bool | int | Decimal):
        return raw
    raise ValueError("a string, a number, true or false")


#: The declared types of the configuration, and two that are never declared: ``bigint`` for int8 columns and
#: ``auto`` where nothing is known beforehand (a look-up's column, an enum, a domain).
KINDS: Mapping[str, FieldType] = {
    kind.name: kind
    for kind in (
        FieldType("string", str, None, _string, ordered=True),
        FieldType("integer", int, None, _integer, ordered=True),
        FieldType("bigint", int, str, _integer, ordered=True),
        FieldType("decimal", Decimal, digits, _decimal, ordered=True, loose=True),
        FieldType(
            "number",
            Annotated[Decimal, AfterValidator(_representable)],
            None,
            _decimal,
            ordered=True,
            loose=True,
        ),
        FieldType("boolean", bool, None, _boolean, ordered=False),
        FieldType("timestamp", Annotated[datetime, AfterValidator(_utc)], None, _timestamp, ordered=True),
        FieldType("json", Any, None, _scalar, ordered=False, loose=True),
        FieldType("auto", Any, _undeclared, _scalar, ordered=False, loose=True),
    )
}

_COLUMN_KINDS = {
    "string": "text varchar character-varying char character bpchar name citext uuid date time timetz interval inet",
    "integer": "int2 smallint int4 integer",
    "bigint": "int8 bigint",
    "decimal": "numeric",
    "number": "float4 real float8 double-precision",
    "boolean": "bool boolean",
    "timestamp": "timestamptz timestamp timestamp-with-time-zone timestamp-without-time-zone",
    "json": "json jsonb",
}
#: Of the types that are shown as strings, those whose values have a form that Postgres checks.
_FORMED = frozenset({"uuid", "date", "time", "timetz", "interval", "inet"})
#: Kinds that no such text can become, and for each kind those of columns whose values it never takes.
_UNFORMED = frozenset({"integer", "decimal", "number", "boolean", "timestamp"})
_FOREIGN = {
    "string": ("boolean",),
    "integer": ("timestamp",),
    "decimal": ("boolean", "timestamp"),
    "number": ("boolean", "timestamp"),
    "boolean": ("timestamp",),
    "timestamp": ("boolean",),
}
_KIND_OF = {name.replace("-", " "): kind for kind, names in _COLUMN_KINDS.items() for name in names.split()}


def base_type(type_name: str) -> str:
    """A column's type as the catalog prints it, without length, precision or spaces too many."""
    return " ".join(re.sub(r"\([^)]*\)", " ", type_name).lower().split())


def kind_of_column(type_name: str | None) -> FieldType:
    """The kind of a column whose field declares no type, from its type's name (``int8``, ``numeric(8,2)`` …)."""
    if type_name is None:
        return KINDS["auto"]
    base = base_type(type_name)
    return KINDS["json"] if base.endswith("[]") else KINDS[_KIND_OF.get(base, "auto")]


def never_fits(kind: str, type_name: str) -> bool:
    """Whether no value of a column of this type can be one of ``kind``. Text may hold digits: in doubt it may."""
    base = base_type(type_name)
    if base.endswith("[]"):
        return kind != "json"
    return _KIND_OF.get(base) in _FOREIGN.get(kind, ()) or (
        base in _FORMED and kind in _UNFORMED and (kind, base) != ("timestamp", "date")
    )


def may_be_text(type_name: str) -> bool:
    """Whether a column of this type may hold whatever somebody wrote. In doubt (an enum, a domain) it may."""
    base = base_type(type_name)
    return kind_of_column(base).name in ("string", "json", "auto") and base.split()[0] not in _FORMED
