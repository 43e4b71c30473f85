"""Looking back at one event of the outbox, with what the daemon's own role may see and nothing more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from relay.capture import change, lookups, queries, schema
from relay.capture.change import Change
from relay.capture.link import open_session
from relay.capture.session import Row, Session, fault
from relay.config import DatabaseSettings

__all__ = ["Inspector"]

#: Changes of one row in one transaction that are looked at.
MOST_CHANGES = 1000


class Inspector:
    """One session. It answers look-ups, too, as they are now. Every method raises DatabaseError."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: DatabaseSettings) -> AsyncIterator[Inspector]:
        """A session of the daemon's role. Raises DatabaseUnreachable, SchemaMismatch and the like."""
        session, _ = await open_session(settings, "explain")
        try:
            yield cls(session)
        finally:
            await session.close()

    async def changes(self, event_id: int) -> tuple[Change, tuple[Change, ...]] | None:
        """An event, and all changes of the same row in the same transaction, itself among them; None: it is not there.

        Raises BadOutboxRow for one that cannot be read.
        """
        rows = await self._fetch(queries.EVENT, {"id": event_id})
        if not rows:
            return None
        asked = change.parse(rows[0])
        params = {"id": event_id, "xid": str(asked.xid), "limit": MOST_CHANGES}
        together = [change.parse(row) for row in await self._fetch(queries.EVENTS_BESIDE, params)]
        return asked, tuple(together)

    async def columns(self, sources: Iterable[str]) -> dict[str, schema.Table]:
        """The live tables among ``sources``."""
        return await schema.tables(self._session, sources)

    async def look_up(self, sql: str, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        """What a look-up gives for ``keys``."""
        return await lookups.look_up(self._session, sql, keys)

    async def look_up_reverse(self, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        """The keys that a look-up gives for ``values``."""
        return await lookups.look_up_reverse(self._session, sql, values)

    async def _fetch(self, statement: str, params: Mapping[str, Any]) -> list[Row]:
        try:
            return await self._session.fetch(statement, params)
        except psycopg.Error as error:
            raise fault(error, "reading relay.event") from None
