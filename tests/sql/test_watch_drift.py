"""What happens to a watched table afterwards, and how it is seen, mended and ended."""

import re

import psycopg
import pytest

from tests.sql.helpers import drift, events, refused, watch, whole
from tests.support.database import Database


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (
            'ALTER TABLE payment DISABLE TRIGGER "!relay_capture"',
            'trigger "!relay_capture" is disabled on payment',
        ),
        ("ALTER TABLE payment DISABLE TRIGGER ALL", 'trigger "!relay_truncate" is disabled on payment'),
        (
            'ALTER TABLE payment ENABLE REPLICA TRIGGER "!relay_capture"',
            'trigger "!relay_capture" fires at the wrong times on payment',
        ),
        ('DROP TRIGGER "!relay_capture" ON payment', 'trigger "!relay_capture" is missing on payment'),
        ('DROP TRIGGER "!relay_truncate" ON payment', 'trigger "!relay_truncate" is missing on payment'),
        (
            'CREATE OR REPLACE TRIGGER "!relay_truncate" AFTER TRUNCATE ON payment FOR EACH STATEMENT'
            " EXECUTE FUNCTION relay.capture_truncate('public.other', 'outbox')",
            'trigger "!relay_truncate" was changed on payment',
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


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("REVOKE SELECT (id, status) ON payment FROM relay_reader", "relay_reader may not read id, status"),
        ("REVOKE ALL ON SCHEMA public FROM PUBLIC, relay_reader", "relay_reader may not use its schema"),
    ],
)
async def test_a_lost_privilege_is_seen_and_mended(
    relay_database: Database, damage: str, problem: str
) -> None:
    """What the daemon's role may not read any more is told, though capture is whole; watching again grants it."""
    await watch(relay_database)
    await relay_database.execute(damage)
    assert await drift(relay_database) == problem
    assert await whole(relay_database)
    assert await relay_database.execute("SELECT tables_with_drift FROM relay.status") == [(1,)]
    await watch(relay_database)
    assert await drift(relay_database) is None
    assert await relay_database.execute("SELECT tables_with_drift FROM relay.status") == [(0,)]


async def test_a_renamed_table_keeps_its_source_until_watched_again(relay_database: Database) -> None:
    """After a rename events go on under the name the table was watched by; watching it anew takes the new name."""
    await watch(relay_database)
    await relay_database.execute("ALTER TABLE payment RENAME TO bill; INSERT INTO bill DEFAULT VALUES")
    assert await watch(relay_database, "bill") == "changed"
    await relay_database.execute("INSERT INTO bill DEFAULT VALUES")
    assert [event.source for event in await events(relay_database)] == ["public.payment", "public.bill"]
    assert await relay_database.execute(
        "SELECT count(*) FROM pg_proc"
        " WHERE pronamespace = 'relay'::regnamespace AND proname LIKE 'capture\\_public\\_%'"
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
    """A member of relay_reader reads the outbox, the views and the fingerprints, and prunes; it writes nothing but
    relay.settled."""
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
            "SELECT relay.prune('1 day'), relay.request_gate(), relay.release_gate(), setval('relay.settled', 1)"
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
