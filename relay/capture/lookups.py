"""Runs the look-ups of channels: SQL from the configuration, a batch of keys at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg

from relay.capture import queries
from relay.capture.literal import array_literal
from relay.capture.session import Session, fault, first_line
from relay.config import ChannelSettings
from relay.errors import DatabaseError, LookUpRefused, MappingError
from relay.jsontext import JSONError, decode

__all__ = ["check", "look_up", "look_up_reverse"]

#: Milliseconds. A look-up that takes longer fails; it must not hold up the stream for as long as it likes.
_TIMEOUT_MS = 5000


async def check(session: Session, channels: Mapping[str, ChannelSettings]) -> None:
    """Try every look-up without keys: it runs, and has the columns that fields show.

    Raises MappingError, which names the first one that does not; CaptureDegraded, DatabaseError.
    """
    for name, channel in channels.items():
        for look_up, settings in channel.lookups.items():
            where = f"channels.{name}.lookups.{look_up}"
            wanted = {
                column
                for origin, _, column in (each.lookup.partition(".") for each in channel.fields.values())
                if origin == look_up
            }
            found = await _columns(session, settings.sql, "keys", f"{where}.sql")
            if missing := sorted(wanted.difference(found[1:])):
                have = ", ".join(found[1:]) or "nothing"
                raise MappingError(
                    f"{where}.sql gives no column {missing[0]}, which a field shows; beside the key it gives {have}"
                )
            if settings.reverse:
                await _columns(session, settings.reverse, "values", f"{where}.reverse")


async def _columns(session: Session, statement: str, parameter: str, where: str) -> list[str]:
    # Nothing is fetched with LIMIT 0, so nothing is read; names, types and privileges are checked all the same.
    try:
        return await session.columns(f"SELECT * FROM ({_bare(statement)}\n) AS q LIMIT 0", {parameter: "{}"})
    except psycopg.errors.InsufficientPrivilege as error:
        raise MappingError(
            f"{where}: {first_line(error)}; list what it reads in reads, then run relay install --apply"
        ) from None
    except (psycopg.errors.SyntaxErrorOrAccessRuleViolation, psycopg.ProgrammingError) as error:
        raise MappingError(f"{where}: {first_line(error)}; correct it") from None


def _bare(statement: str) -> str:
    return statement.strip().rstrip(";")


async def look_up(session: Session, statement: str, keys: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """Run ``statement`` with ``%(keys)s``; by its first column, the other columns of each row.

    Values come as the triggers capture them (numbers exact, uuids and timestamps as strings), so that a key from a
    captured row finds its look-up. Raises LookUpRefused where one of the keys or of the answers is at fault;
    DatabaseError, CaptureDegraded.
    """
    found: dict[Any, dict[str, Any]] = {}
    for row in await _run(session, statement, {"keys": array_literal(keys)}):
        key, *names = row
        if isinstance(row[key], list | dict):
            raise DatabaseError(
                "a look-up failed: its first column, the key, is a list or an object; correct its sql"
            )
        found[row[key]] = {name: row[name] for name in names}
    return found


async def look_up_reverse(session: Session, statement: str, values: Iterable[Any]) -> list[Any]:
    """Run ``statement`` with ``%(values)s``; the first column of each row."""
    rows = await _run(session, statement, {"values": array_literal(values)})
    return [next(iter(row.values())) for row in rows]


async def _run(session: Session, statement: str, params: dict[str, str]) -> list[dict[str, Any]]:
    # The line break ends a comment that the statement may end with.
    wrapped = f"SELECT row_to_json(q)::text FROM ({_bare(statement)}\n) AS q"
    try:
        try:
            _, _, rows, _, ((unsettled,),) = await session.fetch_in_one(
                (queries.BEGIN_READ, None),
                (queries.LIMIT_TIME, {"ms": str(_TIMEOUT_MS)}),
                (wrapped, params),
                (queries.COMMIT, None),
                (queries.UNSETTLED, None),
            )
            if unsettled is not None:
                await session.settle(unsettled)
        except BaseException:
            await session.rollback()
            raise
    except psycopg.DataError as error:
        raise LookUpRefused(str(fault(error, "a look-up"))) from None
    except psycopg.Error as error:
        raise fault(error, "a look-up") from None
    try:
        return [decode(text) for (text,) in rows]
    except JSONError:
        # A ``json`` value may hold half a character, or be nested without end. Not chained: it would quote the row.
        raise LookUpRefused(
            "a look-up failed: it gives a json value that cannot be read; cast that column to jsonb in its sql"
        ) from None
