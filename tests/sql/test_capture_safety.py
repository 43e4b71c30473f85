"""No payment fails, waits, or gives anything away because its table is watched."""

import psycopg
import pytest
from psycopg import sql

from relay.resources import sql_directory
from tests.sql.helpers import drift, events, watch, whole
from tests.support.database import Database


@pytest.mark.parametrize(
    "change", ["DROP COLUMN status CASCADE", "RENAME COLUMN status TO state", "RENAME COLUMN amount TO sum"]
)
async def test_a_column_that_went_costs_the_image_only(relay_database: Database, change: str) -> None:
    """After a listed column is dropped or renamed writes go on, with the key alone, and the drift is visible."""
    await watch(relay_database)
    connection = await relay_database.connect()  # stays open, with everything cached, as a web worker's would
    await connection.execute("INSERT INTO payment (amount) VALUES (1), (2)")
    await connection.execute("UPDATE payment SET metadata = '1'")
    await connection.execute("DELETE FROM payment WHERE id = 2")
    await relay_database.execute(f"ALTER TABLE payment {change}")
    for session in (connection, await relay_database.connect()):
        await session.execute("INSERT INTO payment DEFAULT VALUES")
        await session.execute("UPDATE payment SET metadata = '2' WHERE id = 1")
        await session.execute("DELETE FROM payment WHERE id > 2")
    degraded = (await events(relay_database))[5:]
    assert [(event.op, event.new, event.old) for event in degraded] == [
        (op, None, None) for op in ("insert", "update", "delete") * 2
    ]
    assert [event.key for event in degraded] == [
        {"id": 3},
        {"id": 1},
        {"id": 3},
        {"id": 4},
        {"id": 1},
        {"id": 4},
    ]
    assert "is gone" in (await drift(relay_database) or "")
    assert not await whole(relay_database)
    reasons = await relay_database.execute("SELECT reason, transactions FROM relay.drift ORDER BY reason")
    assert all(reason.startswith("record ") and reason.endswith("(42703)") for reason, _ in reasons)
    assert sum(transactions for _, transactions in reasons) == 6


async def test_a_column_of_another_type_is_drift(relay_database: Database) -> None:
    """After a listed column changes its type no session fails; watching again makes every session whole."""
    await watch(relay_database)
    warm = await relay_database.connect()
    await warm.execute("INSERT INTO payment (status) VALUES ('1')")
    await relay_database.execute(
        "ALTER TABLE payment ALTER status DROP DEFAULT, ALTER status TYPE int USING 5"
    )
    await warm.execute("INSERT INTO payment (status) VALUES (2)")
    await (await relay_database.connect()).execute("UPDATE payment SET status = 3 WHERE id = 2")
    assert "was character varying and is integer" in (await drift(relay_database) or "")
    assert not await whole(relay_database)
    assert await watch(relay_database) == "changed"
    await warm.execute("UPDATE payment SET status = 4 WHERE id = 2")
    seen = await events(relay_database)
    assert [event.key for event in seen[1:]] == [{"id": 2}] * 3
    assert (seen[-1].old or {})["status"] == 3
    assert (seen[-1].new or {})["status"] == 4
    assert await drift(relay_database) is None
    assert await whole(relay_database)


async def test_a_longer_varchar_is_no_drift(relay_database: Database) -> None:
    """A changed length alone changes nothing for the relay."""
    await watch(relay_database)
    await relay_database.execute("ALTER TABLE payment ALTER status TYPE varchar(50)")
    await relay_database.execute(
        "INSERT INTO payment (status) VALUES ('a status of more than twenty letters')"
    )
    assert (await events(relay_database))[0].new is not None
    assert await drift(relay_database) is None


async def test_a_key_column_that_went_costs_the_key_too(relay_database: Database) -> None:
    """If the key itself cannot be built, the event still says that some row changed."""
    await watch(relay_database)
    await relay_database.execute("ALTER TABLE payment RENAME COLUMN id TO payment_id")
    await relay_database.execute(
        "INSERT INTO payment DEFAULT VALUES; UPDATE payment SET status = 'x'; DELETE FROM payment"
    )
    assert [(event.op, event.key, event.new, event.old) for event in await events(relay_database)] == [
        (op, None, None, None) for op in ("insert", "update", "delete")
    ]
    assert "primary key" in (await drift(relay_database) or "")


async def test_a_value_without_a_json_form(relay_database: Database) -> None:
    """A listed value that JSON cannot hold costs its row the image; the mark names the reason, never the value."""
    await relay_database.execute("CREATE TABLE t (id int PRIMARY KEY, v json)")
    await watch(relay_database, "t", ["v"])
    await relay_database.execute(
        r"""INSERT INTO t VALUES (1, '{"secret": "\u0000"}'), (2, '{"secret": "\u0000"}'), (3, '{}')"""
    )
    assert [(event.key, event.new) for event in await events(relay_database)] == [
        ({"id": 1}, None),
        ({"id": 2}, None),
        ({"id": 3}, {"id": 3, "v": {}}),
    ]
    ((reason, transactions),) = await relay_database.execute("SELECT reason, transactions FROM relay.drift")
    assert (reason, transactions) == ("a value has no JSON form (22P05)", 1)
    assert await whole(relay_database, "public.t")


async def test_building_takes_no_transaction_id(relay_database: Database) -> None:
    """A statement that changes many rows takes one transaction id, also when no image can be built."""
    await watch(relay_database)
    connection = await relay_database.connect()

    async def taken(statement: str) -> int:
        cursor = await connection.execute("SELECT pg_current_xact_id()::text::bigint")
        ((before,),) = await cursor.fetchall()
        await connection.execute(statement)
        cursor = await connection.execute("SELECT pg_current_xact_id()::text::bigint")
        ((after,),) = await cursor.fetchall()
        return int(after - before)

    many = "INSERT INTO payment (amount) SELECT n FROM generate_series(1, 1000) n"
    assert await taken(many) < 100  # 2, and what autovacuum takes meanwhile
    await relay_database.execute("ALTER TABLE payment RENAME COLUMN status TO state")
    assert await taken(many) < 100
    assert await relay_database.execute("SELECT count(*) FROM relay.drift_mark") == [(1,)]


async def test_writers_need_no_right_on_schema_relay(relay_database: Database) -> None:
    """A role that may write the table and nothing else writes it, and cannot touch the outbox or call anything."""
    await watch(relay_database)
    role = f"writer_{relay_database.name}"
    await relay_database.execute(
        f"CREATE ROLE {role}; GRANT INSERT, UPDATE, DELETE, SELECT, TRUNCATE ON payment TO {role}"
    )
    writer = await relay_database.connect()
    await writer.execute(f"SET ROLE {role}")
    await writer.execute("INSERT INTO payment DEFAULT VALUES")
    await writer.execute("UPDATE payment SET status = 'x'")
    await writer.execute("DELETE FROM payment")
    await writer.execute("TRUNCATE payment")
    assert [event.op for event in await events(relay_database)] == ["insert", "update", "delete", "truncate"]
    ((capture,),) = await relay_database.execute("SELECT capture FROM relay.watch_list")
    for attempt in (
        "SELECT * FROM relay.event",
        "INSERT INTO relay.event (source, op) VALUES ('public.payment', 'truncate')",
        "SELECT relay.prune('0')",
        "SELECT relay.revoke('1', 'no')",
        "SELECT relay.watch('payment', '{secret}')",
        f"CREATE TEMP TABLE forged (id int); CREATE TRIGGER t AFTER INSERT ON forged FOR EACH ROW"
        f" EXECUTE FUNCTION relay.{capture}('public.payment')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await writer.execute(sql.SQL(attempt))


async def test_nothing_in_schema_relay_is_public(relay_database: Database) -> None:
    """PUBLIC may execute none of the functions, and each that runs as its owner has a pinned search_path."""
    await watch(relay_database)
    open_to_all = await relay_database.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'relay'::regnamespace"
        " AND (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) AS a WHERE a.grantee = 0))"
    )
    assert open_to_all == []
    unpinned = await relay_database.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'relay'::regnamespace AND prosecdef"
        " AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)"
    )
    assert unpinned == []
    foreign = await relay_database.execute(
        "SELECT oid::regclass::text FROM pg_class"
        " WHERE relnamespace = 'relay'::regnamespace AND relowner <> 'relay_owner'::regrole"
        " UNION SELECT oid::regprocedure::text FROM pg_proc"
        " WHERE pronamespace = 'relay'::regnamespace AND proowner <> 'relay_owner'::regrole"
    )
    assert foreign == []


async def test_a_hostile_search_path_changes_nothing(relay_database: Database) -> None:
    """Objects of the writer that shadow what the capture function calls are neither called nor written to."""
    await watch(relay_database)
    connection = await relay_database.connect()
    await connection.execute(
        """CREATE SCHEMA evil; CREATE TABLE evil.calls (what text); CREATE TABLE evil.event (LIKE relay.event);
           CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO evil.calls VALUES ('lower'); RETURN 'forged'; END $$;
           CREATE FUNCTION evil.jsonb_build_object(VARIADIC "any") RETURNS jsonb
             LANGUAGE internal AS 'jsonb_build_array';
           CREATE FUNCTION evil.pg_try_advisory_xact_lock_shared(bigint) RETURNS boolean LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO evil.calls VALUES ('lock'); RETURN true; END $$;
           CREATE FUNCTION evil.same(record, record) RETURNS boolean LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO evil.calls VALUES ('*='); RETURN true; END $$;
           CREATE OPERATOR evil.*= (LEFTARG = record, RIGHTARG = record, FUNCTION = evil.same);
           CREATE TEMP TABLE event (LIKE relay.event)"""
    )
    await connection.execute(
        "BEGIN; SET LOCAL search_path = evil, pg_temp, pg_catalog, public; INSERT INTO public.payment DEFAULT VALUES;"
        " UPDATE public.payment SET status = 'x'; COMMIT"
    )
    assert await relay_database.execute("SELECT * FROM evil.calls") == []
    assert [event.op for event in await events(relay_database)] == ["insert", "update"]


async def test_serializable_writers_do_not_get_in_each_others_way(relay_database: Database) -> None:
    """Serializable transactions on different rows both commit, also when each has to note drift."""
    await relay_database.execute(
        "INSERT INTO payment (id) SELECT n FROM generate_series(1, 200) n; ANALYZE payment"
    )
    await watch(relay_database)
    for trouble in ("", "ALTER TABLE payment RENAME COLUMN status TO state"):
        await relay_database.execute(trouble)
        sessions = [await relay_database.connect() for _ in range(2)]
        for number, session in enumerate(sessions, start=1):
            await session.execute(
                "BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;"
                f" UPDATE payment SET amount = coalesce(amount, 0) + 1 WHERE id = {number * 100}"
            )
        for session in sessions:
            await session.execute("COMMIT")
    assert len(await events(relay_database)) == 4


async def test_a_reader_of_the_outbox_does_not_hold_up_a_writer(relay_database: Database) -> None:
    """A payment commits while another session reads the outbox, prunes it, or installs the files once more."""
    await watch(relay_database)
    await relay_database.execute("INSERT INTO payment DEFAULT VALUES")
    reader, pruner, writer = [await relay_database.connect() for _ in range(3)]
    await reader.execute("BEGIN; SELECT count(*) FROM relay.event")
    await pruner.execute("BEGIN; SELECT relay.prune('0')")
    await writer.execute("SET lock_timeout = '1ms'; INSERT INTO payment DEFAULT VALUES")
    assert len(await events(relay_database)) == 2


async def test_installing_again_does_not_hold_up_a_writer(relay_database: Database) -> None:
    """While a payment is being made, a second run of the files waits for nothing, and nothing waits for it."""
    await watch(relay_database)
    first, second, installer = [await relay_database.connect() for _ in range(3)]
    await first.execute("BEGIN; INSERT INTO payment DEFAULT VALUES")
    await installer.execute("SET lock_timeout = '1s'")
    for path in sorted(sql_directory().glob("[0-9]*.sql")):
        await installer.execute(b"BEGIN;" + path.read_bytes())
        await second.execute("SET lock_timeout = '1s'; INSERT INTO payment DEFAULT VALUES")
        await installer.execute("COMMIT")
    await first.execute("COMMIT")
    assert await drift(relay_database) is None
