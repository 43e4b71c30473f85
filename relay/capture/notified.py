"""Changes of tables in mode notify: they come as notifications and leave no row. At most once, covered by no cursor."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import psycopg

from relay.capture import queries, tables
from relay.capture.batch import Gap
from relay.capture.change import Change
from relay.capture.rows import RowsQuery, SqlCondition
from relay.capture.schema import Capturing
from relay.capture.session import Session, is_lost
from relay.errors import FilterRefused, MappingError

__all__ = ["NOTIFY", "Notified"]

#: The mode, as ``relay.watch`` calls it.
NOTIFY: Final = "notify"

_WAITING: Final = 10_000
# Below every id of the outbox, and rising, so that clients that remember ids tell them apart.
_FIRST_ID: Final = -(2**62)
# Milliseconds that reading one row may take.
_TIMEOUT_MS: Final = 1000


class Notified:
    """What was heard and not yet handed on. Make one for the life of the process: it gives the ids."""

    def __init__(self, sources: frozenset[str]) -> None:
        self._sources = sources
        self._ids = itertools.count(_FIRST_ID)
        self._waiting: deque[Change] = deque()
        # Sources of which something was lost, by the reason; those that the batch under way tells of.
        self._broken: dict[str, str] = {}
        self._telling: dict[str, str] = {}
        self._taken = 0

    @property
    def any(self) -> bool:
        """Whether something waits to be handed on."""
        return bool(self._waiting or self._broken or self._telling)

    def hear(self, change: Change, capturing: Mapping[str, Capturing]) -> bool:
        """Take a change that was notified. False: its table is not in mode notify, so anybody may have sent it."""
        known = capturing.get(change.source)
        if known is None or known.mode != NOTIFY:
            return False
        if change.source not in self._sources:
            return True
        if change.key is None and change.op != "truncate":
            self._broken[change.source] = "unreadable_row"
        elif len(self._waiting) >= _WAITING:
            self._broken[change.source] = "overflow"
        else:
            self._waiting.append(replace(change, id=next(self._ids)))
        return True

    async def take(
        self, session: Session, capturing: Mapping[str, Capturing], most: int
    ) -> tuple[tuple[Change, ...], Gap | None]:
        """At most ``most`` of what waits, in the order it was heard, rows that were too big for a notification read
        from the table; and the gap, if something could not be kept. Call :meth:`drop` once it has been handed on.
        """
        # More may be heard at every await from here to drop.
        taken = list(itertools.islice(self._waiting, most))
        self._taken = len(taken)
        self._telling, self._broken = self._telling | self._broken, {}
        changes = []
        for change in taken:
            known = capturing.get(change.source)
            if not change.key_only or change.op == "delete":
                changes.append(change)
            elif known is not None:
                try:
                    row = await _row(session, change, known.columns)
                except (FilterRefused, MappingError):
                    # Anybody can notify a key that is none, and a table can be altered meanwhile.
                    self._telling[change.source] = "unreadable_row"
                else:
                    if row is not None:  # else it is gone by now, which another notification tells
                        changes.append(replace(change, new=row))
        telling = self._telling
        gap = Gap(frozenset(telling), next(iter(telling.values()))) if telling else None
        return tuple(changes), gap

    def drop(self) -> None:
        """Forget what the last ``take`` gave."""
        for _ in range(self._taken):
            self._waiting.popleft()
        self._taken = 0
        self._telling = {}


async def _row(session: Session, change: Change, columns: tuple[str, ...]) -> dict[str, Any] | None:
    if not change.key or not all(isinstance(value, str | int | Decimal) for value in change.key.values()):
        raise MappingError(
            f"a key of {change.source} was notified that is none; see who else sends on channel relay"
        )
    key = tuple(SqlCondition(column, "eq", (_text(value),)) for column, value in change.key.items())
    await session.fetch(queries.BEGIN_READ)
    try:
        # Not for as long as somebody holds a lock on the table: all other tables wait meanwhile.
        await session.fetch(queries.LIMIT_TIME, {"ms": str(_TIMEOUT_MS)})
        found, _ = await tables.rows(session, RowsQuery(change.source, columns, key, limit=1, scan_limit=1))
    except psycopg.Error as error:
        if is_lost(error):
            raise
        raise MappingError(
            f"a row of {change.source} cannot be read; see the server's log for more"
        ) from None
    finally:
        await session.rollback()
    return found[0] if found else None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
