"""Databases for tests: a template that is installed once, and a fresh clone for every test."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg import sql

from relay.resources import sql_directory
from tests.support.server import Server

__all__ = ["WATCHED", "Database", "create_database", "install", "new_database"]

#: The sample payment tables and the columns that are captured of each.
WATCHED: dict[str, list[str]] = {
    table: columns.split()
    for table, columns in {
        "finances_purchasetransaction": "id student_id transaction_type amount payment_status "
        "stripe_payment_intent_id metadata created_at updated_at",
        "finances_webhookeventlog": "id stripe_event_id event_type status processed_at error_message "
        "retry_count created_at",
        "finances_paymentdispute": "id stripe_dispute_id purchase_transaction_id amount currency reason "
        "status evidence_due_by is_responded created_at updated_at",
        "finances_fraudalert": "id alert_id severity status alert_type description target_user_id risk_score "
        "assigned_to_id investigated_at detection_data created_at updated_at",
        "finances_fraudalert_related_transactions": "id fraudalert_id purchasetransaction_id",
        "accounts_customuser": "id email name",
        "accounts_schoolmembership": "id user_id school_id role is_active",
    }.items()
}

_numbers = itertools.count(1)


class Database:
    """One database of one test."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self._connections: list[psycopg.AsyncConnection[tuple[Any, ...]]] = []
        self._shared: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    @property
    def dsn(self) -> str:
        """As the superuser."""
        return self.server.dsn(self.name)

    @property
    def daemon_dsn(self) -> str:
        """As the role that the daemon uses: it may log in and is a member of relay_reader, no more."""
        return self.server.dsn(self.name, "relay_daemon")

    async def connect(
        self, dsn: str | None = None, *, autocommit: bool = True
    ) -> psycopg.AsyncConnection[Any]:
        """A new connection (as the superuser if not told otherwise), closed at the end of the test."""
        connection = await psycopg.AsyncConnection.connect(dsn or self.dsn, autocommit=autocommit)
        self._connections.append(connection)
        return connection

    async def execute(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own and return its rows, if it has any."""
        if self._shared is None or self._shared.closed:
            self._shared = await self.connect()
        cursor = await self._shared.execute(statement, params or None)
        # Not cursor.description: it is empty for SELECT FROM …, which asks only how many rows there are.
        has_rows = cursor.pgresult is not None and cursor.pgresult.status == psycopg.pq.ExecStatus.TUPLES_OK
        return await cursor.fetchall() if has_rows else []

    async def close(self) -> None:
        """Close every connection that was opened here."""
        for connection in self._connections:
            await connection.close()


async def install(database: Database) -> None:
    """Schema relay, the sample payment tables, their watches, and the role ``relay_daemon``."""
    for path in sorted(sql_directory().glob("[0-9]*.sql")):
        await database.execute(path.read_text())
    await database.execute((sql_directory() / "demo" / "payments.sql").read_text())
    if not await database.execute("SELECT FROM pg_roles WHERE rolname = 'relay_daemon'"):
        password = sql.Literal(database.server.password).as_string()
        await database.execute(f"CREATE ROLE relay_daemon LOGIN PASSWORD {password}")
    await database.execute("GRANT relay_reader TO relay_daemon")
    for table, columns in WATCHED.items():
        await database.execute("SELECT relay.watch(%s::regclass, %s)", f"public.{table}", columns)


async def create_database(server: Server, template: str | None = None) -> Database:
    """A new database with a name of its own. Whoever makes it drops it, or the server that it is on."""
    name = f"test_{next(_numbers)}"
    async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as admin:
        await admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template or "template0")
            )
        )
    database = Database(server, name)
    if template is not None:
        # A cloned outbox belongs to the database it was cloned from, until it is told that it is a new one.
        await database.execute("SELECT relay.reset()")
    return database


@contextlib.asynccontextmanager
async def new_database(server: Server, template: str | None = None) -> AsyncIterator[Database]:
    """A new database that is dropped at the end, whoever is still connected to it."""
    database = await create_database(server, template)
    try:
        yield database
    finally:
        await database.close()
        async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as admin:
            await admin.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database.name))
            )
