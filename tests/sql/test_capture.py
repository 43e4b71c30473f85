"""What a change of a watched table leaves in the outbox."""

from tests.sql.helpers import Event, events, watch
from tests.support.database import Database

SOURCE = "public.payment"


async def test_insert_update_delete_and_truncate_are_events(relay_database: Database) -> None:
    """Each change of a row is one event with its key and the images before and after; TRUNCATE is one event."""
    await watch(relay_database)
    await relay_database.execute(
        """INSERT INTO payment (id, amount, metadata) VALUES (7, 12.50, '{"n": 150.00}')"""
    )
    await relay_database.execute("UPDATE payment SET status = 'completed' WHERE id = 7")
    await relay_database.execute("DELETE FROM payment")
    await relay_database.execute("TRUNCATE payment")
    first = {"id": 7, "amount": 12.50, "status": "pending", "metadata": {"n": 150.00}}
    second = first | {"status": "completed"}
    assert await events(relay_database) == [
        Event("insert", {"id": 7}, first, None, SOURCE),
        Event("update", {"id": 7}, second, first, SOURCE),
        Event("delete", {"id": 7}, None, second, SOURCE),
        Event("truncate", None, None, None, SOURCE),
    ]
    ((texts,),) = await relay_database.execute(
        "SELECT new ->> 'amount' || ' ' || (new #>> '{metadata,n}') FROM relay.event WHERE op = 'insert'"
    )
    assert texts == "12.50 150.00"


async def test_only_listed_columns_enter_the_outbox(relay_database: Database) -> None:
    """A column that nobody listed appears in no image, and a change of it alone is no event."""
    await watch(relay_database, columns=["status"])
    await relay_database.execute("INSERT INTO payment (amount, secret) VALUES (1, 'hunter2')")
    await relay_database.execute("UPDATE payment SET secret = 'swordfish', amount = 2")
    await relay_database.execute("UPDATE payment SET status = status")
    assert [event.new for event in await events(relay_database)] == [{"id": 1, "status": "pending"}]
    ((found,),) = await relay_database.execute(
        "SELECT count(*) FROM relay.event WHERE event::text ~ 'hunter|swordfish'"
    )
    assert found == 0


async def test_key_columns_are_always_listed(relay_database: Database) -> None:
    """The primary key is captured without being named, and a list of nothing else captures it alone."""
    await watch(relay_database, columns=[])
    await relay_database.execute("INSERT INTO payment (id) VALUES (1)")
    await relay_database.execute("UPDATE payment SET status = 'x'")
    await relay_database.execute("UPDATE payment SET id = 2")
    assert [(event.key, event.new, event.old) for event in await events(relay_database)] == [
        ({"id": 1}, {"id": 1}, None),
        ({"id": 2}, {"id": 2}, {"id": 1}),
    ]


async def test_changes_of_one_byte_count(relay_database: Database) -> None:
    """A change is seen by its bytes, also where = calls the values equal or the type has no =."""
    await relay_database.execute("CREATE TABLE t (id int PRIMARY KEY, n numeric, p point, j json)")
    await watch(relay_database, "t", ["n", "p", "j"])
    await relay_database.execute("INSERT INTO t VALUES (1, 1.0, '(1,1)', '{}')")
    for change in ("n = 1.00", "p = '(1.0000000000001,1)'", "j = '{ }'", "n = 1.00"):
        await relay_database.execute(f"UPDATE t SET {change}")
    assert [event.op for event in await events(relay_database)] == ["insert", "update", "update", "update"]


async def test_composite_keys_and_awkward_names(relay_database: Database) -> None:
    """Names with capitals, quotes, spaces and percent signs are captured as they are, and so are long keys."""
    await relay_database.execute(
        """CREATE SCHEMA "Pay Ments"; CREATE TABLE "Pay Ments"."Or""der'%s" ("B" int, "a'%I" int, "new" text,
             "Sta""tus" text, "SELECT" text, PRIMARY KEY ("B", "a'%I"))"""
    )
    await watch(relay_database, '"Pay Ments"."Or""der\'%s"', ["new", 'Sta"tus', "SELECT"])
    await relay_database.execute("""INSERT INTO "Pay Ments"."Or""der'%s" VALUES (1, 2, 'n', 's', 'x')""")
    await relay_database.execute("""UPDATE "Pay Ments"."Or""der'%s" SET "new" = 'm'""")
    await relay_database.execute("""TRUNCATE "Pay Ments"."Or""der'%s" """)
    row = {"B": 1, "a'%I": 2, "new": "n", 'Sta"tus': "s", "SELECT": "x"}
    source = "Pay Ments.Or\"der'%s"
    assert await events(relay_database) == [
        Event("insert", {"B": 1, "a'%I": 2}, row, None, source),
        Event("update", {"B": 1, "a'%I": 2}, row | {"new": "m"}, row, source),
        Event("truncate", None, None, None, source),
    ]
    ((listed,),) = await relay_database.execute("SELECT drift FROM relay.watched")
    assert listed is None


async def test_more_columns_than_a_function_takes_arguments(relay_database: Database) -> None:
    """A table with more than a hundred listed columns is captured whole."""
    names = [f"c{number}" for number in range(170)]
    await relay_database.execute(
        f"CREATE TABLE wide (id int PRIMARY KEY, {', '.join(f'{n} int' for n in names)})"
    )
    await watch(relay_database, "wide", names)
    await relay_database.execute("INSERT INTO wide (id, c0, c99, c169) VALUES (1, 5, 6, 7)")
    ((image,),) = await relay_database.execute("SELECT new FROM relay.event")
    assert len(image) == 171
    assert (image["c0"], image["c99"], image["c169"], image["c1"]) == (5, 6, 7, None)


async def test_every_way_to_write_is_captured(relay_database: Database) -> None:
    """COPY, ON CONFLICT, data-modifying WITH, cascades of foreign keys and (from 15) MERGE are captured alike."""
    await relay_database.execute(
        "CREATE TABLE refund (id int PRIMARY KEY, payment_id bigint REFERENCES payment ON DELETE CASCADE)"
    )
    await watch(relay_database, columns=["status"])
    await watch(relay_database, "refund", ["payment_id"])
    connection = await relay_database.connect()
    async with connection.cursor() as cursor, cursor.copy("COPY payment (id, status) FROM STDIN") as copy:
        await copy.write("1\tcopied\n2\tcopied\n")
    await relay_database.execute(
        "INSERT INTO payment (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET status = 'conflict'"
    )
    await relay_database.execute("INSERT INTO payment (id) VALUES (1) ON CONFLICT DO NOTHING")
    await relay_database.execute("INSERT INTO refund VALUES (9, 1)")
    await relay_database.execute(
        "WITH gone AS (DELETE FROM payment WHERE id = 2 RETURNING id) INSERT INTO payment (id) SELECT id + 1 FROM gone"
    )
    await relay_database.execute("DELETE FROM payment WHERE id = 1")
    seen = [
        (event.source.removeprefix("public."), event.op, event.key) for event in await events(relay_database)
    ]
    assert seen[:4] == [
        ("payment", "insert", {"id": 1}),
        ("payment", "insert", {"id": 2}),
        ("payment", "update", {"id": 1}),
        ("refund", "insert", {"id": 9}),
    ]
    assert {(table, op, (key or {})["id"]) for table, op, key in seen[4:]} == {
        ("payment", "insert", 3),
        ("payment", "delete", 2),
        ("payment", "delete", 1),
        ("refund", "delete", 9),
    }
    ((version,),) = await relay_database.execute("SELECT current_setting('server_version_num')::int")
    if version >= 150000:
        await relay_database.execute(
            "MERGE INTO payment p USING (VALUES (3), (4)) v(id) ON p.id = v.id"
            " WHEN MATCHED THEN UPDATE SET status = 'merged' WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id)"
        )
        assert sorted((e.op, (e.key or {})["id"]) for e in (await events(relay_database))[-2:]) == [
            ("insert", 4),
            ("update", 3),
        ]


async def test_the_row_is_captured_as_it_was_stored(relay_database: Database) -> None:
    """What BEFORE triggers and stored generated columns make of a row is what the event shows."""
    await relay_database.execute(
        """ALTER TABLE payment ADD COLUMN cents bigint GENERATED ALWAYS AS (amount * 100) STORED;
           CREATE FUNCTION louder() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.status := upper(NEW.status); RETURN NEW; END $$;
           CREATE TRIGGER louder BEFORE INSERT OR UPDATE ON payment FOR EACH ROW EXECUTE FUNCTION louder()"""
    )
    await watch(relay_database, columns=["status", "cents"])
    await relay_database.execute("INSERT INTO payment (amount) VALUES (1.25)")
    assert (await events(relay_database))[0].new == {"id": 1, "status": "PENDING", "cents": 125}


async def test_a_trigger_that_writes_back_is_recorded_after_the_change_that_caused_it(
    relay_database: Database,
) -> None:
    """Our trigger fires before any other AFTER trigger, whatever that one is called, so per-row order holds."""
    await relay_database.execute(
        """CREATE FUNCTION settle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE payment SET status = 'settled' WHERE id = NEW.id AND status = 'pending'; RETURN NULL; END $$;
           CREATE TRIGGER "0 first" AFTER INSERT ON payment FOR EACH ROW EXECUTE FUNCTION settle();
           CREATE TRIGGER "AAA" AFTER INSERT ON payment FOR EACH ROW EXECUTE FUNCTION settle()"""
    )
    await watch(relay_database, columns=["status"])
    await relay_database.execute("INSERT INTO payment (id) VALUES (1)")
    assert [(e.op, (e.new or {})["status"]) for e in await events(relay_database)] == [
        ("insert", "pending"),
        ("update", "settled"),
    ]


async def test_a_statement_trigger_that_writes_back_is_recorded_last(relay_database: Database) -> None:
    """What an AFTER STATEMENT trigger does to rows of its statement is recorded after the statement's own changes."""
    await relay_database.execute(
        """CREATE FUNCTION settle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE payment SET status = 'settled' WHERE status = 'paid'; RETURN NULL; END $$;
           CREATE TRIGGER settle AFTER UPDATE ON payment FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
             EXECUTE FUNCTION settle()"""
    )
    await watch(relay_database, columns=["status"])
    await relay_database.execute("INSERT INTO payment (id) VALUES (1), (2)")
    await relay_database.execute("UPDATE payment SET status = 'paid'")
    seen = [((event.key or {})["id"], (event.new or {})["status"]) for event in await events(relay_database)]
    assert seen == [
        (1, "pending"),
        (2, "pending"),
        (1, "paid"),
        (2, "paid"),
        (1, "settled"),
        (2, "settled"),
    ]


async def test_rolled_back_changes_leave_nothing(relay_database: Database) -> None:
    """A change undone by ROLLBACK or by ROLLBACK TO SAVEPOINT leaves no event; all others carry one transaction id."""
    await watch(relay_database)
    connection = await relay_database.connect()
    await connection.execute("BEGIN; INSERT INTO payment (id) VALUES (1); ROLLBACK")
    await connection.execute(
        "BEGIN; INSERT INTO payment (id) VALUES (2); SAVEPOINT a; INSERT INTO payment (id) VALUES (3);"
        " ROLLBACK TO a; INSERT INTO payment (id) VALUES (4); RELEASE a; COMMIT"
    )
    assert [event.key for event in await events(relay_database)] == [{"id": 2}, {"id": 4}]
    assert await relay_database.execute("SELECT count(DISTINCT xid) FROM relay.event") == [(1,)]


async def test_triggers_have_no_when_and_no_column_list(relay_database: Database) -> None:
    """Dropping a listed column with CASCADE, as Django does, leaves the trigger in place."""
    await watch(relay_database)
    await relay_database.execute("ALTER TABLE payment DROP COLUMN status CASCADE")
    rows = await relay_database.execute(
        "SELECT tgname, tgqual IS NULL, tgattr::text FROM pg_trigger"
        " WHERE tgrelid = 'payment'::regclass AND NOT tgisinternal ORDER BY tgname"
    )
    assert rows == [("!relay_capture", True, ""), ("!relay_truncate", True, "")]
