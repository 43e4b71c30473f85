"""What is asked of a watched table for a snapshot, and what comes back: values alone, so that routing may use them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from relay.capture.snapshot import Snapshot

__all__ = ["Rows", "RowsQuery", "SqlCondition", "images_by"]


@dataclass(frozen=True, slots=True)
class SqlCondition:
    """A condition on one column. ``values`` are texts in the column's notation: one, several for ``in``, or none."""

    column: str
    op: Literal["eq", "in", "gt", "gte", "lt", "lte", "is_null", "not_null"]
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowsQuery:
    """Rows of ``table`` (schema.table) that meet all ``conditions``, in ``order`` ("created_at desc, id"; empty: any).

    At most ``scan_limit`` rows are read. ``limit`` is how many are wanted: when nothing is left to check elsewhere,
    the two are the same.
    """

    table: str
    columns: tuple[str, ...]
    conditions: tuple[SqlCondition, ...] = ()
    order: str = ""
    limit: int = 100
    scan_limit: int = 10000


@dataclass(frozen=True, slots=True)
class Rows:
    """``rows`` as the triggers would have captured them. ``exhausted``: there are no more that meet the conditions.

    ``snapshot`` is the part that survives a crash of the snapshot they were read in: it sees every event they include.
    """

    rows: tuple[dict[str, Any], ...]
    snapshot: Snapshot
    as_of: datetime
    exhausted: bool


def images_by(table: str, columns: Iterable[str], key: str) -> str:
    """A look-up the other way round that gives whole rows of ``table``: those whose ``key`` is among ``%(values)s``."""
    schema, _, name = table.partition(".")
    listed = ", ".join(map(_quoted, sorted(columns)))
    return (
        f"SELECT row_to_json(r) FROM (SELECT {listed} FROM {_quoted(schema)}.{_quoted(name)} "
        f"WHERE {_quoted(key)} = ANY (%(values)s)) AS r"
    )


def _quoted(name: str) -> str:
    # Doubled percent signs, for the statement has parameters.
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'
