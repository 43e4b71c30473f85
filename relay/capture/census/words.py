"""The words that statements about aggregates are made of.

Statuses, times and limits are literals, not parameters, for a cursor takes none. Windows are told in hours, for
``interval '30 days'`` is an hour longer or shorter where clocks are put forward. Times are taken in a session whose
TimeZone is UTC, as those of all the relay's sessions are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from psycopg import sql

__all__ = [
    "DISTANT",
    "EPOCH",
    "both",
    "calendar",
    "column",
    "finite",
    "is_one",
    "minute",
    "minutes",
    "present",
    "since",
    "table",
]

EPOCH: Final = sql.SQL("'1970-01-01 00:00:00+00'::timestamptz")
#: Whatever Python's calendar does not hold is the far future, or counts as no time at all.
DISTANT: Final = sql.SQL("'9999-01-01 00:00:00+00'::timestamptz")
_FIRST: Final = sql.SQL("'0001-01-01 00:00:00+00'::timestamptz")


def present(now: datetime | None) -> sql.Composable:
    """The moment as of which is counted: the transaction's own (None), or another one."""
    return sql.SQL("now()") if now is None else sql.SQL("{}::timestamptz").format(sql.Literal(now))


def minutes(length: int) -> sql.Composed:
    """An interval."""
    text = f"{length // 60} hours" if length % 60 == 0 else f"{length} minutes"
    return sql.SQL("interval {}").format(sql.Literal(text))


def since(now: sql.Composable, length: int) -> sql.Composed:
    """The moment at which a window of so many minutes begins."""
    return sql.SQL("date_trunc('minute', {}) - {}").format(now, minutes(length))


def table(name: str) -> sql.Identifier:
    """A table named ``schema.table``."""
    schema, _, own = name.partition(".")
    return sql.Identifier(schema, own)


def column(name: str) -> sql.Identifier:
    """A column."""
    return sql.Identifier(name)


def is_one(status: str, statuses: Sequence[str]) -> sql.Composed:
    """Whether column ``status`` has one of ``statuses``."""
    listed = sql.SQL(", ").join(sql.Literal(each) for each in statuses)
    return sql.SQL("{}::text IN ({})").format(column(status), listed)


def both(*conditions: sql.Composable) -> sql.Composed:
    """All of them."""
    return sql.SQL(" AND ").join(conditions)


def finite(amount: str) -> sql.Composed:
    """Whether there is an amount: one NaN would make a sum of it for as long as it is in the window."""
    return sql.SQL("{}::numeric <> ALL ('{{NaN,Infinity,-Infinity}}'::numeric[])").format(column(amount))


def calendar(time: str) -> sql.Composed:
    """Whether column ``time`` holds a time that Python's calendar holds too."""
    return sql.SQL("{0} >= {1} AND {0} < {2}").format(column(time), _FIRST, DISTANT)


def minute(time: str) -> sql.Composed:
    """The minute of column ``time``, counted from 1970."""
    return sql.SQL("floor(extract(epoch FROM least({}::timestamptz, {})) / 60)::bigint").format(
        column(time), DISTANT
    )
