"""Runs the look-ups of channels: SQL from the configuration, a batch of keys at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from relay.capture import queries
from relay.capture.literal import array_literal
from relay.capture.session import Session, fault
from relay.jsontext import decode

__all__ = ["look_up", "look_up_reverse"]

#: Milliseconds. A look-up that takes longer fails; it must not hold up the stream for as long as it likes.
_TIMEOUT_MS = 5000


async def look_up(session: Session, statement: str, keys: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """Run ``statement`` with ``%(keys)s``; by its first column, the other columns of each row.

    Values come as the triggers capture them (numbers exact, uuids and timestamps as strings), so that a key from a
    captured row finds its look-up. Raises DatabaseError, CaptureDegraded.
    """
    found: dict[Any, dict[str, Any]] = {}
    for row in await _run(session, statement, {"keys": array_literal(keys)}):
        key, *names = row
        found[row[key]] = {name: row[name] for name in names}
    return found


async def look_up_reverse(session: Session, statement: str, values: Iterable[Any]) -> list[Any]:
    """Run ``statement`` with ``%(values)s``; the first column of each row."""
    rows = await _run(session, statement, {"values": array_literal(values)})
    return [next(iter(row.values())) for row in rows]


async def _run(session: Session, statement: str, params: dict[str, str]) -> list[dict[str, Any]]:
    # The line break ends a comment that the statement may end with.
    wrapped = f"SELECT row_to_json(q)::text FROM ({statement.strip().rstrip(';')}\n) AS q"
    try:
        try:
            _, _, rows, _ = await session.fetch_in_one(
                (queries.BEGIN_READ, None),
                (queries.LIMIT_TIME, {"ms": str(_TIMEOUT_MS)}),
                (wrapped, params),
                (queries.COMMIT, None),
            )
        except BaseException:
            if not session.closed:
                await session.fetch(queries.ROLLBACK)
            raise
    except psycopg.Error as error:
        raise fault(error, "a look-up") from None
    return [decode(text) for (text,) in rows]
