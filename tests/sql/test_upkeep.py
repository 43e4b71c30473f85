"""relay.revoke, relay.reset, relay.status, and a dump that is restored elsewhere."""

import json
import subprocess

from relay.demo.postgres import Postgres
from tests.sql.helpers import apply_files, drift, events, refused, watch, whole
from tests.support.database import Database, new_database


async def test_revoke_leaves_a_row_and_gives_a_hint(relay_database: Database) -> None:
    """A revocation is a durable row; the NOTIFY that goes with it only says that there is something to read."""
    listener = await relay_database.connect()
    await listener.execute("LISTEN relay")
    await relay_database.execute("SELECT relay.revoke('user 42', 'laptop stolen')")
    assert await relay_database.execute(
        "SELECT subject, reason, at <= clock_timestamp() FROM relay.revocation"
    ) == [("user 42", "laptop stolen", True)]
    async for note in listener.notifies(timeout=30, stop_after=1):
        assert json.loads(note.payload) == {"v": 1, "kind": "control", "subject": "user 42"}


async def test_revoke_wants_a_subject_and_a_reason(relay_database: Database) -> None:
    """A revocation without a subject or a reason is refused, and so is a subject no token could have."""
    for arguments in ("'', 'why'", "NULL, 'why'", "'42', ''", "'42', NULL", "repeat('x', 1001), 'why'"):
        await refused(
            relay_database, f"SELECT relay.revoke({arguments})", message="a subject", hint="laptop stolen"
        )


async def test_reset_begins_anew_without_stopping_payments(relay_database: Database) -> None:
    """reset empties the outbox and changes the installation's id; a payment under way neither waits nor is lost."""
    await watch(relay_database)
    await relay_database.execute("INSERT INTO payment DEFAULT VALUES")
    await relay_database.execute("SELECT relay.prune('0'), relay.prune('0')")
    ((before,),) = await relay_database.execute("SELECT install_id FROM relay.state")
    writer = await relay_database.connect()
    await writer.execute("BEGIN; INSERT INTO payment DEFAULT VALUES")
    ((after,),) = await relay_database.execute("SELECT relay.reset()")
    await writer.execute("SET lock_timeout = '1ms'; INSERT INTO payment DEFAULT VALUES; COMMIT")
    assert before != after
    assert await relay_database.execute(
        "SELECT install_id, horizon::text, horizon_witness FROM relay.state"
    ) == [(after, "3:3:", None)]
    assert [event.key for event in await events(relay_database)] == [{"id": 2}, {"id": 3}]


async def test_status_is_one_row(relay_database: Database) -> None:
    """relay.status tells size and age of the outbox, the versions, and whether it is at home."""
    await watch(relay_database)
    await relay_database.execute("INSERT INTO payment DEFAULT VALUES")
    rows = await relay_database.execute(
        "SELECT schema_version, outbox_bytes > 0, oldest_event = (SELECT at FROM relay.event), queue_usage >= 0,"
        " listeners, server_version = current_setting('server_version'), alarm, at_home, asleep, tables,"
        " tables_with_drift FROM relay.status"
    )
    assert rows == [(1, True, True, True, 0, True, True, True, False, 1, 0)]
    await relay_database.execute("ALTER TABLE payment RENAME COLUMN status TO state")
    assert await relay_database.execute("SELECT tables_with_drift FROM relay.status") == [(1,)]


async def test_listeners_counts_relays(relay_database: Database) -> None:
    """A relay is counted by the name its listening session has."""
    await relay_database.connect(relay_database.dsn + "?application_name=relay%20listen")
    assert await relay_database.execute("SELECT listeners FROM relay.status") == [(1,)]


async def test_a_cloned_database_is_not_at_home_until_reset(relay_database: Database) -> None:
    """The state of another database or server is recognised; reset makes the outbox this database's own."""
    await relay_database.execute("UPDATE relay.state SET database_oid = 1")
    assert await relay_database.execute("SELECT at_home FROM relay.status") == [(False,)]
    await relay_database.execute("SELECT relay.reset()")
    assert await relay_database.execute("SELECT at_home FROM relay.status") == [(True,)]
    await relay_database.execute("UPDATE relay.state SET system_identifier = '1'")
    assert await relay_database.execute("SELECT at_home FROM relay.status") == [(False,)]


async def test_a_restored_dump_captures_again(own_postgres: Postgres) -> None:
    """Dump and restore carry the watches along: payments are captured there, and the outbox is known as another's."""
    async with new_database(own_postgres) as source, new_database(own_postgres) as target:
        await apply_files(source)
        # Columns that were dropped before leave gaps in the numbering, which a restore closes.
        await source.execute(
            "CREATE TABLE bill (gap int, id int PRIMARY KEY, amount int); ALTER TABLE bill DROP gap"
        )
        await watch(source, "bill", ["amount"])
        await source.execute("INSERT INTO bill VALUES (1, 10)")
        dump = subprocess.run(
            [own_postgres.bindir / "pg_dump", "--dbname", source.dsn],
            check=True,
            capture_output=True,
            timeout=60,
        )
        subprocess.run(
            [own_postgres.bindir / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "--dbname", target.dsn],
            input=dump.stdout,
            check=True,
            capture_output=True,
            timeout=60,
        )
        # Restoring the rows of bill is itself not captured: pg_dump creates triggers last.
        assert [event.key for event in await events(target)] == [{"id": 1}]
        assert await target.execute("SELECT at_home FROM relay.status") == [(False,)]
        await target.execute("SELECT relay.reset()")
        await target.execute("INSERT INTO bill VALUES (2, 20)")
        assert [event.new for event in await events(target)] == [{"id": 2, "amount": 20}]
        assert await drift(target, "public.bill") is None
        assert await whole(target, "public.bill")
        assert await watch(target, "bill", ["amount"]) == "unchanged"
        await target.execute("ALTER TABLE bill ADD COLUMN fresh int")
        assert await target.execute("SELECT new_columns FROM relay.watched") == [(["fresh"],)]
