"""Changes of tables in mode notify: they come as notifications and leave no row. At most once, covered by no cursor."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from relay.capture import tables
from relay.capture.batch import Gap
from relay.capture.change import Change
from relay.capture.rows import RowsQuery, SqlCondition
from relay.capture.schema import Capturing
from relay.capture.session import Session

__all__ = ["NOTIFY", "Notified"]

#: The mode, as ``relay.watch`` calls it.
NOTIFY: Final = "notify"

_WAITING: Final = 10_000
# Below every id of the outbox, and rising, so that clients that remember ids tell them apart.
_FIRST_ID: Final = -(2**62)


class Notified:
    """What was heard and not yet handed on. Make one for the life of the process: it gives the ids."""

    def __init__(self, sources: frozenset[str]) -> None:
        self._sources = sources
        self._ids = itertools.count(_FIRST_ID)
        self._waiting: deque[Change] = deque()
        self._broken: dict[str, str] = {}

    @property
    def any(self) -> bool:
        """Whether something waits to be handed on."""
        return bool(self._waiting or self._broken)

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
        changes = []
        for change in itertools.islice(self._waiting, most):
            if change.key_only and change.op != "delete":
                known = capturing.get(change.source)
                row = await _row(session, change, known.columns) if known is not None else None
                if row is None:
                    continue  # it is gone by now, which another notification tells
                changes.append(replace(change, new=row))
            else:
                changes.append(change)
        gap = Gap(frozenset(self._broken), next(iter(self._broken.values()))) if self._broken else None
        return tuple(changes), gap

    def drop(self, most: int) -> None:
        """Forget what the last ``take`` of ``most`` gave."""
        for _ in range(min(most, len(self._waiting))):
            self._waiting.popleft()
        self._broken.clear()


async def _row(session: Session, change: Change, columns: tuple[str, ...]) -> dict[str, Any] | None:
    assert change.key is not None
    key = tuple(SqlCondition(column, "eq", (_text(value),)) for column, value in change.key.items())
    found, _ = await tables.rows(session, RowsQuery(change.source, columns, key, limit=1, scan_limit=1))
    return found[0] if found else None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
