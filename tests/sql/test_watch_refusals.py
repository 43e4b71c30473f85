"""What relay.watch refuses, each time with the remedy in the hint."""

import pytest

from tests.sql.helpers import refused, watch
from tests.support.database import Database


@pytest.mark.parametrize(
    ("setup", "table", "columns", "message", "hint"),
    [
        ("CREATE TABLE t (id int)", "t", ["id"], "has no primary key", "ADD PRIMARY KEY"),
        ("CREATE VIEW t AS SELECT 1 AS id", "t", ["id"], "is not a table", "tables beneath"),
        ("CREATE TEMP TABLE t (id int PRIMARY KEY)", "t", ["id"], "temporary", "lasting tables"),
        (
            "CREATE TABLE t (id int PRIMARY KEY)",
            "t",
            ["id", "nope", "No"],
            'no column nope, "No"',
            "It has: id",
        ),
        ("CREATE TABLE t (id int PRIMARY KEY)", "t", ["ctid"], "no column ctid", "It has: id"),
        ("", "relay.revocation", ["id"], "relay table", "lasting tables"),
        ("", "pg_catalog.pg_class", ["oid"], "system", "lasting tables"),
        (
            "CREATE TABLE u (id int PRIMARY KEY) PARTITION BY LIST (id);"
            " CREATE TABLE t PARTITION OF u FOR VALUES IN (1)",
            "t",
            ["id"],
            "is a partition",
            r"table instead: public\.u\.",
        ),
        (
            "CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE t (PRIMARY KEY (id)) INHERITS (u)",
            "t",
            ["id"],
            "inheritance",
            "NO INHERIT",
        ),
        (
            "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u () INHERITS (t)",
            "t",
            ["id"],
            "inheritance",
            "PARTITION BY",
        ),
        (
            "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
            " CREATE TABLE t (id int) PARTITION BY LIST (id);"
            " CREATE FOREIGN TABLE far PARTITION OF t FOR VALUES IN (1) SERVER s;"
            " CREATE TABLE v (id int PRIMARY KEY)",
            "t",
            ["id"],
            "has no primary key",  # PostgreSQL allows no primary key over foreign partitions
            "ADD PRIMARY KEY",
        ),
    ],
)
async def test_refusals(
    relay_database: Database, setup: str, table: str, columns: list[str], message: str, hint: str
) -> None:
    """A table that could only be captured with gaps is refused, with the remedy, and nothing is left behind."""
    await relay_database.execute(setup)
    await refused(
        relay_database,
        "SELECT relay.watch(%s::regclass, %s)",
        table,
        columns,
        message=message,
        hint=hint,
    )
    assert await relay_database.execute("SELECT * FROM relay.watch_list") == []


async def test_refusals_of_bad_arguments(relay_database: Database) -> None:
    """A null table, a null list, a null in it and an unknown mode are refused with an example."""
    await refused(
        relay_database, "SELECT relay.watch(NULL, '{id}')", message="no such table", hint="schema.table"
    )
    await refused(
        relay_database, "SELECT relay.watch(1::regclass, '{id}')", message="no such table", hint="schema"
    )
    await refused(relay_database, "SELECT relay.watch('payment', NULL)", message="null", hint="ARRAY")
    await refused(relay_database, "SELECT relay.watch('payment', '{id,NULL}')", message="null", hint="ARRAY")
    await refused(
        relay_database,
        "SELECT relay.watch('payment', '{id}', 'wal')",
        message="'wal' is unknown",
        hint="notify",
    )


async def test_virtual_generated_columns_are_refused(relay_database: Database) -> None:
    """A trigger sees no virtual generated column, so it cannot be listed (PostgreSQL 18 has them)."""
    ((version,),) = await relay_database.execute("SELECT current_setting('server_version_num')::int")
    kind = "VIRTUAL" if version >= 180000 else "STORED"
    await relay_database.execute(
        f"ALTER TABLE payment ADD COLUMN cents numeric GENERATED ALWAYS AS (amount * 100) {kind}"
    )
    if kind == "VIRTUAL":
        await refused(
            relay_database,
            "SELECT relay.watch('payment', '{cents}')",
            message="virtual generated",
            hint="STORED",
        )
    else:
        assert await watch(relay_database, columns=["cents"]) == "watching"


async def test_only_the_owner_may_watch(relay_database: Database) -> None:
    """A member of relay_owner who does not own the table is told who has to do it."""
    role = f"other_{relay_database.name}"
    await relay_database.execute(
        f"CREATE ROLE {role}; GRANT relay_owner TO {role}; GRANT SELECT ON payment TO {role}"
    )
    try:
        await relay_database.execute(f"SET ROLE {role}")
        await refused(
            relay_database,
            "SELECT relay.watch('payment', '{id}')",
            message=f"{role} does not own it",
            hint="as postgres",
        )
    finally:
        await relay_database.execute("RESET ROLE")
