"""The database work of the commands: looking around, installing, uninstalling, pruning, reporting.

DDL is only in the files of ``sql/`` and in the functions they create; what is run here calls them.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from relay.capture.install_plan import Step, Survey, Watched
from relay.capture.trouble import explain_connect, explain_statement
from relay.errors import NotPrimary, SchemaMismatch

__all__ = ["Administrator"]

_HERE: Final = """
SELECT current_database() AS database, current_user AS "user", pg_is_in_recovery() AS standby,
       current_setting('server_version') AS server_version,
       to_regclass('relay.state') IS NOT NULL AS installed
"""

# Whether capture functions NOTIFY was decided when they were written; the server's setting may have changed
# since. A dump can be restored without its grants, all of which are lost then: these two stand for the others.
_VERSION: Final = """
SELECT schema_version, alarm IS DISTINCT FROM (current_setting('max_prepared_transactions') = '0') AS stale,
       has_table_privilege(to_regrole('relay_reader')::oid, 'relay.state', 'SELECT') IS NOT TRUE
       OR has_sequence_privilege(to_regrole('relay_reader')::oid, to_regclass('relay.settled')::oid, 'UPDATE')
          IS NOT TRUE AS bare
  FROM relay.state
"""

_WATCHED: Final = """
SELECT source, columns, missing_columns, mode, always, trigger_present, trigger_enabled, drift
  FROM relay.watched
"""

_TABLES: Final = """
SELECT wanted.name AS source, array_agg(a.attname::text) AS columns
  FROM unnest(%(names)s::text[]) AS wanted(name)
  JOIN pg_namespace AS n ON n.nspname = split_part(wanted.name, '.', 1)
  JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = split_part(wanted.name, '.', 2)
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p')
 GROUP BY 1
"""

# Whether the daemon's role still has to be given relay_reader. CASE, because pg_has_role fails for a role
# that is not there yet, and the roles of a fresh installation are not.
_READER: Final = """
SELECT CASE WHEN r.oid = current_user::regrole THEN false
            WHEN to_regrole('relay_reader') IS NULL THEN NOT r.rolsuper
            ELSE NOT pg_has_role(r.oid, to_regrole('relay_reader')::oid, 'USAGE') END AS lacks
  FROM pg_roles AS r WHERE r.rolname = %(role)s
"""

_STATUS: Final = "SELECT row_to_json(s) AS status FROM relay.status AS s"
_WATCHED_ROWS: Final = "SELECT row_to_json(w) AS watched FROM relay.watched AS w ORDER BY source"
_PRUNE: Final = "SELECT relay.prune(make_interval(secs => %(seconds)s)) AS remaining"


class Administrator:
    """One session for a command. Every method raises DatabaseError: one line with the remedy."""

    def __init__(self, connection: psycopg.AsyncConnection[dict[str, Any]]) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def connect(cls, dsn: str, origin: str, timeout_seconds: float) -> AsyncIterator[Administrator]:
        """A session to ``dsn``, which came from setting or option ``origin``. Raises DatabaseUnreachable."""
        try:
            connection = await psycopg.AsyncConnection.connect(
                dsn,
                autocommit=True,
                row_factory=dict_row,
                connect_timeout=max(2, math.ceil(timeout_seconds)),  # libpq takes less than 2 s for 2 s
                application_name="relay-admin",
            )
        except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
            raise explain_connect(error, dsn, origin) from None
        async with connection:
            # The views join catalogs: compiling such a query takes seconds, and running it milliseconds.
            await connection.execute("SET jit = off")
            yield cls(connection)

    async def survey(self, tables: Collection[str], daemon_dsn: str) -> Survey:
        """What an installation has to know: versions, what is watched, what exists of ``tables``.

        ``daemon_dsn`` names the role that has to be able to read the outbox. Raises NotPrimary.
        """
        here = (await self._rows(_HERE, "looking at the database"))[0]
        if here["standby"]:
            raise NotPrimary(f"database {here['database']} is on a standby; connect to the primary")
        version, stale, bare, watched = None, False, False, {}
        if here["installed"]:
            state = await self._rows(_VERSION, "reading the version of schema relay")
            version = 0
            for row in state:
                version, stale, bare = row["schema_version"], row["stale"], row["bare"]
        if version:  # 0: an installation that was interrupted may not have the view yet
            rows = await self._rows(_WATCHED, "reading relay.watched")
            watched = {row["source"]: _watched(row) for row in rows}
        found = await self._rows(_TABLES, "looking for the tables", names=sorted(tables))
        role = conninfo_to_dict(daemon_dsn).get("user")
        lacks = await self._rows(_READER, "looking at the daemon's role", role=role) if role else []
        return Survey(
            database=here["database"],
            user=here["user"],
            server_version=here["server_version"],
            version=version,
            stale=stale,
            bare=bare,
            watched=watched,
            tables={row["source"]: frozenset(row["columns"]) for row in found},
            reader=str(role) if lacks and lacks[0]["lacks"] else "",
        )

    async def carry_out(self, step: Step, notice: Callable[[str], None]) -> None:
        """Run one step in a transaction of its own, so that a lock on a payment table ends with it."""

        def tell(message: psycopg.errors.Diagnostic) -> None:
            notice(message.message_primary or "")

        self._connection.add_notice_handler(tell)
        try:
            async with self._connection.transaction():
                await self._connection.execute(step.sql.encode())
        except psycopg.Error as error:
            raise explain_statement(
                error, step.file.name if step.file else step.sql.partition(",")[0]
            ) from None
        finally:
            self._connection.remove_notice_handler(tell)

    async def status(self) -> dict[str, Any]:
        """The row of ``relay.status`` as a dict, with the rows of ``relay.watched`` under ``watched``."""
        rows = await self._rows(_STATUS, "reading relay.status")
        if not rows:
            raise SchemaMismatch(
                "relay.status is empty: the installation is incomplete; repeat relay install --apply"
            )
        watched = await self._rows(_WATCHED_ROWS, "reading relay.watched")
        return {**rows[0]["status"], "watched": [row["watched"] for row in watched]}

    async def prune(self, keep_seconds: float) -> int:
        """Delete one batch of events older than ``keep_seconds``. Returns how many are left to delete."""
        rows = await self._rows(_PRUNE, "relay.prune", seconds=keep_seconds)
        return int(rows[0]["remaining"])

    async def _rows(self, statement: str, doing: str, **parameters: Any) -> list[dict[str, Any]]:
        try:
            cursor = await self._connection.execute(statement.encode(), parameters or None)
            return await cursor.fetchall()
        except psycopg.Error as error:
            raise explain_statement(error, doing) from None


def _watched(row: dict[str, Any]) -> Watched:
    gone = frozenset(row["missing_columns"] or ())
    trouble = ""
    if not row["trigger_present"]:
        trouble = "has lost its trigger"
    elif not row["trigger_enabled"]:
        trouble = "has its trigger disabled"
    elif gone:
        trouble = f"has lost {', '.join(sorted(gone))}"
    elif row["drift"]:
        trouble = f"has drifted ({row['drift']})"
    return Watched(frozenset(row["columns"]), gone, row["mode"], row["always"], trouble)
