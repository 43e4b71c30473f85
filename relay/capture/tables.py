"""Rows of a watched table as they are now, for snapshots: which conditions Postgres can check, it checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql

from relay.capture import queries
from relay.capture.literal import array_literal
from relay.capture.rows import RowsQuery, SqlCondition
from relay.capture.session import Session
from relay.errors import FilterRefused, MappingError
from relay.jsontext import JSONError, decode

__all__ = ["ColumnType", "rows", "statement"]

_COMPARISONS: Final = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_ORDERED: Final = frozenset({"gt", "gte", "lt", "lte"})
_ORDER = re.compile(r"\s*(\w+)(?:\s+(asc|desc))?(?:\s+nulls\s+(first|last))?\s*", re.IGNORECASE)


class ColumnType(NamedTuple):
    """What a column's values are: the type's ``name``, whether it ``is_text``, and the ``form`` they are captured in:
    value, text or texts."""

    name: str
    is_text: bool
    form: str = "value"


async def rows(session: Session, query: RowsQuery) -> tuple[tuple[dict[str, Any], ...], bool]:
    """Read them; call it inside a transaction. Raises MappingError, FilterRefused (a value that is none)."""
    found_types = await session.fetch(queries.COLUMN_TYPES, {"table": _quoted(query.table)})
    if not found_types:
        raise MappingError(f"table {query.table} does not exist; correct its name in the configuration")
    types = {name: ColumnType(*described) for name, *described in found_types}
    text, params = statement(query, types)
    try:
        found = await session.fetch(text.as_string(session.connection), params)
    except psycopg.errors.DataError:
        # Not repeated: it comes from a client.
        raise FilterRefused("a value in the filter cannot be compared with its field") from None
    exhausted = len(found) <= query.scan_limit
    return tuple(_image(row) for (row,) in found[: query.scan_limit]), exhausted


def _image(text: str) -> dict[str, Any]:
    """One row; without any column where its text cannot be read (a ``json`` value may hold half a character)."""
    try:
        image: dict[str, Any] = decode(text)
    except JSONError:
        return {}  # the row that is made of it will lack its columns: one bad row, not a snapshot that fails
    return image


def statement(query: RowsQuery, types: Mapping[str, ColumnType]) -> tuple[sql.Composed, dict[str, str | int]]:
    """The statement for ``query`` and its parameters. ``types``: by column.

    row_to_json and not to_jsonb: a ``json`` value that jsonb would refuse must not fail a whole snapshot.
    """
    for column in (*query.columns, *(condition.column for condition in query.conditions)):
        if column not in types:
            raise MappingError(f"table {query.table} has no column {column}; correct the configuration")
    params: dict[str, str | int] = {"limit": query.scan_limit + 1}
    conditions = [_condition(condition, types, params) for condition in query.conditions]
    schema, _, name = query.table.partition(".")
    text = sql.SQL(
        "SELECT row_to_json(r)::text FROM (SELECT {columns} FROM {table} AS t{where}{order} LIMIT {limit}) AS r"
    )
    return (
        text.format(
            columns=sql.SQL(", ").join(_value(column, types[column].form) for column in query.columns),
            table=sql.Identifier(schema, name),
            where=sql.SQL(" WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else sql.SQL(""),
            order=_order(query, types),
            limit=sql.Placeholder("limit"),
        ),
        params,
    )


def _value(column: str, form: str) -> sql.Composable:
    # As sql/004 writes it: row_to_json alone would show what an hstore or a composite holds, and events its text.
    value = sql.Identifier("t", column)
    if form == "text":
        shown = sql.SQL("CASE WHEN {0} IS DISTINCT FROM NULL THEN format('%%s', {0}) END").format(value)
    elif form == "texts":
        shown = sql.SQL(
            "CASE WHEN {0} IS NOT NULL THEN coalesce((SELECT json_agg(CASE WHEN u.e IS DISTINCT FROM NULL"
            " THEN format('%%s', u.e) END) FROM (SELECT unnest({0}) AS e) AS u), '[]') END"
        ).format(value)
    else:
        return value
    return shown + sql.SQL(" AS ") + sql.Identifier(column)


def _condition(
    condition: SqlCondition, types: Mapping[str, ColumnType], params: dict[str, str | int]
) -> sql.Composable:
    column = sql.Identifier("t", condition.column)
    if condition.op == "is_null":
        return column + sql.SQL(" IS NULL")
    if condition.op == "not_null":
        return column + sql.SQL(" IS NOT NULL")
    type_name, is_text, _ = types[condition.column]
    name = f"c{len(params)}"
    if condition.op == "in":
        params[name] = array_literal(condition.values)
        return sql.SQL("{} = ANY ({}::text::{}[])").format(column, sql.Placeholder(name), sql.SQL(type_name))
    (params[name],) = condition.values
    # Python compares strings by code point, which is what "C" does in UTF-8. Equality needs no collation, and
    # naming one there would keep an index from being used.
    collation = sql.SQL(' COLLATE "C"') if is_text and condition.op in _ORDERED else sql.SQL("")
    return sql.SQL("{}{} {} {}::text::{}").format(
        column,
        collation,
        sql.SQL(_COMPARISONS[condition.op]),
        sql.Placeholder(name),
        sql.SQL(type_name),
    )


def _order(query: RowsQuery, types: Mapping[str, ColumnType]) -> sql.Composable:
    if not query.order.strip():
        return sql.SQL("")
    return sql.SQL(" ORDER BY ") + sql.SQL(", ").join(
        _term(term, query, types) for term in query.order.split(",")
    )


def _term(term: str, query: RowsQuery, types: Mapping[str, ColumnType]) -> sql.Composable:
    match = _ORDER.fullmatch(term)
    if match is None or match[1] not in types:
        raise MappingError(
            f"order {query.order!r} of table {query.table} is not understood; write a column, perhaps with desc"
        )
    direction = sql.SQL(" DESC") if (match[2] or "").lower() == "desc" else sql.SQL("")
    nulls = {"first": sql.SQL(" NULLS FIRST"), "last": sql.SQL(" NULLS LAST")}.get((match[3] or "").lower())
    return sql.Identifier("t", match[1]) + direction + (nulls or sql.SQL(""))


def _quoted(source: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in source.split(".", 1))
