"""The ways to tell about a payment that are compared, and who has to be there while payments are made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import psycopg

from bench.database import COLUMNS, PAYMENTS
from bench.serving import NEVER_ASLEEP_MS, serving, until_asleep
from relay.demo.postgres import Postgres

__all__ = ["CLASSIC", "NONE", "VARIANTS", "Variant", "create_tables", "insert_into", "payments_at_once"]

# Each variant has a table of its own, of the same shape as the sample payments: five indexes, no foreign key (its
# share lock on the customer would be what is measured).
TABLES = f"""
CREATE SCHEMA bench;
CREATE TABLE bench.plain (LIKE {PAYMENTS} INCLUDING ALL);
CREATE TABLE bench.watched (LIKE {PAYMENTS} INCLUDING ALL);
CREATE TABLE bench.note (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, note text);
CREATE SCHEMA classic;
CREATE TABLE classic.payment (LIKE {PAYMENTS} INCLUDING ALL);
CREATE FUNCTION classic.tell() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_notify(''relay'', row_to_json(NEW)::text); RETURN NULL; END';
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON classic.payment FOR EACH ROW EXECUTE FUNCTION classic.tell();
GRANT USAGE ON SCHEMA bench, classic TO shop;
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """``company`` is entered before payments begin and left after."""

    name: str
    table: str
    company: Callable[[Postgres], AbstractAsyncContextManager[None]]


async def create_tables(server: Postgres) -> None:
    """One table for each kind of trigger, the last one watched by relay.watch; and a small one beside them."""
    async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as admin:
        await admin.execute(TABLES)
        await admin.execute("SELECT relay.watch('bench.watched', %s)", (COLUMNS,))
        await admin.execute("SELECT relay.watch('bench.note', ARRAY['id', 'note'])")


def _insert(table: str, student: str, amount: str) -> tuple[str, str]:
    columns = (
        "student_id, transaction_type, amount, payment_status, stripe_payment_intent_id, metadata,"
        " created_at, updated_at"
    )
    metadata = """jsonb '{"student_name": "Ada Lovelace", "plan_name": "Ten lessons"}'"""
    values = (
        f"{student}, 'package', {amount}, 'pending', 'pi_' || gen_random_uuid(), {metadata}, now(), now()"
    )
    return f"INSERT INTO {table} ({columns})", values


def insert_into(table: str) -> str:
    """A pgbench script: one payment in one transaction."""
    head, values = _insert(table, ":student", ":cents / 100.0")
    return f"\\set cents random(100, 99999)\n\\set student random(1, 5000)\n{head} VALUES ({values});\n"


def payments_at_once(table: str, number: int) -> bytes:
    """A statement that inserts so many payments."""
    head, values = _insert(table, "n % 5000", "n % 9999 / 100.0")
    return f"{head} SELECT {values} FROM generate_series(1, {number}) AS n".encode()


@contextlib.asynccontextmanager
async def nobody(server: Postgres) -> AsyncIterator[None]:
    """Nobody listens and nobody reads."""
    yield


@contextlib.asynccontextmanager
async def listener(server: Postgres) -> AsyncIterator[None]:
    """One session that listens and reads what it is told, as classic relays do."""

    async def read(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        async for _ in connection.notifies():
            pass

    async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as connection:
        await connection.execute("LISTEN relay")
        reading = asyncio.create_task(read(connection))
        try:
            yield
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading


@contextlib.asynccontextmanager
async def frozen(server: Postgres) -> AsyncIterator[None]:
    """A relay that stopped answering while asleep: somebody listens, the gate stays shut, every commit notifies."""
    async with listener(server), await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as gate:
        await gate.execute("SELECT pg_advisory_lock(relay.gate_key())")
        yield


@contextlib.asynccontextmanager
async def awake(server: Postgres) -> AsyncIterator[None]:
    """A relay that does not fall asleep."""
    async with serving(server, idle_after_ms=NEVER_ASLEEP_MS):
        yield


@contextlib.asynccontextmanager
async def asleep(server: Postgres) -> AsyncIterator[None]:
    """A relay that is asleep when the first payment comes, and is woken by it."""
    async with serving(server):
        await until_asleep(server)
        yield


NONE = Variant("no trigger", "bench.plain", nobody)
CLASSIC = Variant("classic `pg_notify(row)`", "classic.payment", listener)
AWAKE = Variant("relay, awake", "bench.watched", awake)
DOWN = Variant("relay, down", "bench.watched", nobody)
ASLEEP = Variant("relay, asleep at the start", "bench.watched", asleep)
FROZEN = Variant("relay, frozen while asleep (at most 5 s)", "bench.watched", frozen)

VARIANTS = (NONE, CLASSIC, AWAKE, DOWN, ASLEEP, FROZEN)
