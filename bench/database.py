"""A private Postgres with the relay and the sample payment tables in it, to measure on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg

from relay.demo.postgres import Postgres, system_bindir
from relay.resources import sql_directory

__all__ = ["COLUMNS", "PAYMENTS", "age", "install", "postgres"]

PAYMENTS = "public.finances_purchasetransaction"

#: What the shipped channel of payments captures.
COLUMNS = [
    "id",
    "student_id",
    "transaction_type",
    "amount",
    "payment_status",
    "stripe_payment_intent_id",
    "metadata",
    "created_at",
    "updated_at",
]

# A server as it would run: every commit flushed. No checkpoint and no autovacuum begins while something is measured,
# for then it would hit one variant and spare another.
SETTINGS = {
    "fsync": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "16GB",
    "min_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
}


@contextlib.contextmanager
def postgres(
    major: int | None = None, preload: Path | None = None, *, flush: bool = True
) -> Iterator[Postgres]:
    """Start a server: PostgreSQL from the wheel, or that version from Debian's packages.

    ``flush``: commits wait for the disk, as they must wherever data matter.
    """
    bindir = None if major is None else system_bindir(major)
    settings = SETTINGS | {"fsync": "on" if flush else "off"}
    with Postgres.start(bindir, settings=settings, preload=preload) as server:
        yield server


async def install(server: Postgres) -> None:
    """Schema relay and the sample tables; the roles ``shop`` (writes payments) and ``relay_daemon`` (reads events)."""
    async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as admin:
        for path in [*sorted(sql_directory().glob("[0-9]*.sql")), sql_directory() / "demo" / "payments.sql"]:
            await admin.execute(path.read_bytes())
        password = psycopg.sql.Literal(server.password)
        for role in ("shop", "relay_daemon"):
            statement = psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            await admin.execute(statement.format(psycopg.sql.Identifier(role), password))
        await admin.execute(
            "GRANT relay_reader TO relay_daemon; GRANT pg_write_all_data, pg_read_all_data TO shop"
        )


async def age(server: Postgres, segments: int) -> None:
    """Give a new server so many WAL segments (16 MB each) to use again, as one has that has run for a while.

    A new one has to create each segment and fill it with zeros first, and whoever writes more WAL waits more for that.
    """
    fill = (
        "FOR n IN 1 .. %s LOOP PERFORM pg_logical_emit_message(false, 'age', ''), pg_switch_wal(); END LOOP"
    )
    async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as admin:
        await admin.execute(f"DO $$ BEGIN {fill % segments}; END $$".encode())
        await admin.execute("CHECKPOINT")
