"""relay.watch: what it answers, what it refuses, which locks it takes."""

import re

import psycopg
import pytest

from tests.sql.helpers import COLUMNS, drift, events, refused, watch, whole
from tests.support.database import Database


async def test_watch_states_the_whole_list(relay_database: Database) -> None:
    """The list given last is the list, whatever its order; the answer says whether anything had to be done."""
    assert await watch(relay_database) == "watching"
    assert await watch(relay_database) == "unchanged"
    assert await watch(relay_database, columns=[*reversed(COLUMNS), "status", "id"]) == "unchanged"
    assert await watch(relay_database, columns=["secret"]) == "changed"
    await relay_database.execute("INSERT INTO payment (secret) VALUES ('s')")
    assert (await events(relay_database))[0].new == {"id": 1, "secret": "s"}


async def test_watched_shows_what_is_watched(relay_database: Database) -> None:
    """relay.watched has the table, its source, the listed columns in the table's order, and no complaint."""
    await watch(relay_database)
    rows = await relay_database.execute(
        'SELECT "table"::text, source, columns, mode, trigger_present, trigger_enabled, missing_columns, new_columns, drift'
        " FROM relay.watched"
    )
    columns = ["id", "amount", "status", "metadata"]
    assert rows == [("payment", "public.payment", columns, "outbox", True, True, [], [], None)]


async def test_watched_shows_columns_that_came_and_went(relay_database: Database) -> None:
    """missing_columns are listed columns that are gone, new_columns those that were added since."""
    await watch(relay_database)
    await relay_database.execute("ALTER TABLE payment ADD COLUMN fee numeric")
    await relay_database.execute("ALTER TABLE payment DROP COLUMN amount")
    rows = await relay_database.execute("SELECT missing_columns, new_columns FROM relay.watched")
    assert rows == [(["amount"], ["fee"])]
    assert await watch(relay_database, columns=["status", "fee"]) == "changed"
    rows = await relay_database.execute("SELECT missing_columns, new_columns, drift FROM relay.watched")
    assert rows == [([], [], None)]


async def test_the_daemon_may_read_exactly_the_listed_columns(relay_database: Database) -> None:
    """relay_reader can select each listed column and no other, and loses those that are listed no more."""
    may_read = (
        "SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'payment'::regclass"
        " AND attnum > 0 AND has_column_privilege('relay_reader', attrelid, attnum, 'SELECT')"
    )
    await watch(relay_database)
    assert await relay_database.execute(may_read) == [(["id", "amount", "status", "metadata"],)]
    await watch(relay_database, columns=["status"])
    assert await relay_database.execute(may_read) == [(["id", "status"],)]
    await relay_database.execute("SELECT relay.unwatch('payment')")
    assert await relay_database.execute(may_read) == [(None,)]


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
            "CREATE TABLE u (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE t PARTITION OF u FOR VALUES IN (1)",
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


async def test_a_busy_table_is_given_up(relay_database: Database) -> None:
    """watch and unwatch wait two seconds for writers, then say so and change nothing."""
    await relay_database.execute("CREATE TABLE idle (id int PRIMARY KEY)")
    await watch(relay_database, "idle", [])
    writer = await relay_database.connect()
    await writer.execute("BEGIN; INSERT INTO payment DEFAULT VALUES; INSERT INTO idle VALUES (1)")
    await refused(
        relay_database,
        "SELECT relay.watch('payment', '{id}')",
        message="payment is busy, try again",
        hint="pg_locks",
    )
    await refused(
        relay_database,
        "SELECT relay.unwatch('idle')",
        message="idle is busy, try again",
        hint="pg_stat_activity",
    )
    await writer.execute("COMMIT")
    assert await relay_database.execute("SELECT source FROM relay.watch_list") == [("public.idle",)]
    assert await drift(relay_database, "public.idle") is None


async def test_watching_the_same_takes_no_lock(relay_database: Database) -> None:
    """A call that finds everything as it should be does not even wait for a table that is locked exclusively."""
    await watch(relay_database)
    holder, caller = await relay_database.connect(), await relay_database.connect()
    await holder.execute("BEGIN; LOCK TABLE payment IN ACCESS EXCLUSIVE MODE")
    await caller.execute("BEGIN; SELECT relay.watch('payment', '{amount,status,metadata}')")
    locks = await relay_database.execute(
        "SELECT mode FROM pg_locks WHERE relation = 'payment'::regclass AND pid <> %s",
        holder.info.backend_pid,
    )
    assert locks == []


async def test_other_columns_wait_for_no_writer(relay_database: Database) -> None:
    """Columns are added to the list while payments are being made, without waiting for them."""
    await watch(relay_database)
    writer, caller = await relay_database.connect(), await relay_database.connect()
    await writer.execute("BEGIN; INSERT INTO payment (secret) VALUES ('a')")
    await caller.execute("SET lock_timeout = '1ms'; SELECT relay.watch('payment', '{amount,status,secret}')")
    await writer.execute("INSERT INTO payment (secret) VALUES ('b'); COMMIT")
    assert "secret" in ((await events(relay_database))[-1].new or {})


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ('ALTER TABLE payment DISABLE TRIGGER "!relay_capture"', "a trigger is disabled on payment"),
        ("ALTER TABLE payment DISABLE TRIGGER ALL", "a trigger is disabled on payment"),
        (
            'ALTER TABLE payment ENABLE REPLICA TRIGGER "!relay_capture"',
            "a trigger fires at the wrong times on payment",
        ),
        ('DROP TRIGGER "!relay_capture" ON payment', "a trigger is missing on payment"),
        ('DROP TRIGGER "!relay_truncate" ON payment', "a trigger is missing on payment"),
        (
            'CREATE OR REPLACE TRIGGER "!relay_truncate" AFTER TRUNCATE ON payment FOR EACH STATEMENT'
            " EXECUTE FUNCTION relay.capture_truncate('public.other', 'outbox')",
            "a trigger was changed on payment",
        ),
        ("ALTER TABLE payment DROP CONSTRAINT payment_pkey", "its primary key is another one, or gone"),
        ("CREATE TABLE child () INHERITS (payment)", "it is part of an inheritance tree"),
        ("ALTER TABLE payment RENAME TO bill", r"it is called public\.bill now"),
        ("CREATE SCHEMA s; ALTER TABLE payment SET SCHEMA s", r"it is called s\.payment now"),
        ("DROP TABLE payment", "the table is gone"),
    ],
)
async def test_damage_is_seen_and_mended(relay_database: Database, damage: str, problem: str) -> None:
    """What keeps capture from being whole is in relay.watched, and watching again mends what can be mended."""
    await watch(relay_database)
    before = await relay_database.execute("SELECT fingerprint FROM relay.fingerprint()")
    await relay_database.execute(damage)
    assert re.search(problem, await drift(relay_database) or "")
    assert not await whole(relay_database)
    assert await relay_database.execute("SELECT fingerprint FROM relay.fingerprint()") != before
    if "TRIGGER" in damage:
        assert await watch(relay_database) == "changed"
        assert await drift(relay_database) is None
        await relay_database.execute("INSERT INTO payment DEFAULT VALUES; TRUNCATE payment")
        assert [event.op for event in await events(relay_database)] == ["insert", "truncate"]


async def test_a_renamed_table_keeps_its_source_until_watched_again(relay_database: Database) -> None:
    """After a rename events go on under the name the table was watched by; watching it anew takes the new name."""
    await watch(relay_database)
    await relay_database.execute("ALTER TABLE payment RENAME TO bill; INSERT INTO bill DEFAULT VALUES")
    assert await watch(relay_database, "bill") == "changed"
    await relay_database.execute("INSERT INTO bill DEFAULT VALUES")
    assert [event.source for event in await events(relay_database)] == ["public.payment", "public.bill"]
    assert await relay_database.execute(
        "SELECT count(*) FROM pg_proc WHERE pronamespace = 'relay'::regnamespace AND proname LIKE 'capture\\_public\\_%'"
    ) == [(1,)]


async def test_a_table_that_took_the_name_of_another(relay_database: Database) -> None:
    """A new table under the name of a watched one that still exists is refused until that one is cleared up."""
    await watch(relay_database)
    await relay_database.execute(
        "ALTER TABLE payment RENAME TO payment_old; CREATE TABLE payment (LIKE payment_old INCLUDING ALL)"
    )
    await refused(
        relay_database,
        "SELECT relay.watch('payment', '{id}')",
        message="payment_old, watched before",
        hint="unwatch",
    )
    await watch(relay_database, "payment_old")
    assert await watch(relay_database, "payment") == "watching"


async def test_a_table_created_anew_is_watched_anew(relay_database: Database) -> None:
    """DROP TABLE and CREATE TABLE need one relay.watch; the old entry goes by itself."""
    await watch(relay_database)
    await relay_database.execute("DROP TABLE payment; CREATE TABLE payment (id int PRIMARY KEY, status text)")
    assert await watch(relay_database, columns=["status"]) == "watching"
    await relay_database.execute("INSERT INTO payment VALUES (1, 'x')")
    assert (await events(relay_database))[0].new == {"id": 1, "status": "x"}
    assert await drift(relay_database) is None


async def test_unwatch_leaves_nothing(relay_database: Database) -> None:
    """After unwatch the table has no trigger of ours and no event comes; a second call says there was nothing."""
    await watch(relay_database)
    assert await relay_database.execute("SELECT relay.unwatch('payment')") == [(True,)]
    assert await relay_database.execute("SELECT relay.unwatch('payment')") == [(False,)]
    await relay_database.execute("INSERT INTO payment DEFAULT VALUES; TRUNCATE payment")
    assert await events(relay_database) == []
    assert await relay_database.execute("SELECT * FROM pg_trigger WHERE tgrelid = 'payment'::regclass") == []


async def test_unwatch_of_a_dropped_table(relay_database: Database) -> None:
    """A table that is gone is taken off the list by the number it left."""
    await watch(relay_database)
    await relay_database.execute("DROP TABLE payment")
    rows = await relay_database.execute('SELECT relay.unwatch("table") FROM relay.watched')
    assert rows == [(True,)]
    assert await relay_database.execute("SELECT * FROM relay.watched") == []


async def test_a_trigger_switched_off_and_on_leaves_a_trace(relay_database: Database) -> None:
    """The fingerprint differs after a trigger was disabled and enabled within one transaction."""
    await watch(relay_database)
    before = await relay_database.execute("SELECT * FROM relay.fingerprint()")
    assert await relay_database.execute("SELECT * FROM relay.fingerprint()") == before
    await relay_database.execute(
        "BEGIN; ALTER TABLE payment DISABLE TRIGGER ALL; INSERT INTO payment DEFAULT VALUES;"
        " ALTER TABLE payment ENABLE TRIGGER ALL; COMMIT"
    )
    after = await relay_database.execute("SELECT * FROM relay.fingerprint()")
    assert after[0][:3] == before[0][:3] == ("public.payment", True, None)
    assert after[0][3] != before[0][3]


async def test_the_daemons_role_reads_what_it_needs(relay_database: Database) -> None:
    """A member of relay_reader reads the outbox, the views and the fingerprints, and prunes; it writes nothing."""
    await watch(relay_database)
    role = f"daemon_{relay_database.name}"
    await relay_database.execute(f"CREATE ROLE {role}; GRANT relay_reader TO {role}; SET ROLE {role}")
    try:
        for relation in (
            "event",
            "state",
            "revocation",
            "watched",
            "drift",
            "status",
            "fingerprint()",
            "watch_list",
        ):
            await relay_database.execute(f"SELECT * FROM relay.{relation}")
        await relay_database.execute(
            "SELECT relay.prune('1 day'), relay.request_gate(), relay.release_gate()"
        )
        for forbidden in (
            "DELETE FROM relay.event",
            "SELECT relay.reset()",
            "SELECT relay.revoke('1', 'x')",
            "SELECT secret FROM payment",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await relay_database.execute(forbidden)
    finally:
        await relay_database.execute("RESET ROLE")
