"""relay.watch: what it answers, what it grants, which locks it takes."""

from tests.sql.helpers import COLUMNS, drift, events, refused, watch
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
        'SELECT "table"::text, source, columns, mode, trigger_present, trigger_enabled,'
        " missing_columns, new_columns, drift FROM relay.watched"
    )
    columns = ["id", "amount", "status", "metadata"]
    assert rows == [("payment", "public.payment", columns, "outbox", True, True, [], [], None)]


async def test_a_look_at_watched_is_no_work_for_the_compiler(relay_database: Database) -> None:
    """The planner takes relay.watched for a small query, so that nobody waits for PostgreSQL to optimise it (jit)."""
    await watch(relay_database)
    ((plan,),) = await relay_database.execute("EXPLAIN (FORMAT JSON) SELECT * FROM relay.watched")
    ((dear,),) = await relay_database.execute("SELECT current_setting('jit_optimize_above_cost')::float")
    assert plan[0]["Plan"]["Total Cost"] < dear / 2


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
