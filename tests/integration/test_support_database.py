"""The databases that the tests get are what they are said to be."""

import psycopg
import pytest

from tests.support.database import WATCHED, Database

INSERT = """
INSERT INTO accounts_customuser
       (email, name, phone_number, password, is_active, is_staff, is_superuser, date_joined)
VALUES (%s, 'Ana', '', '!', true, false, false, now())"""


async def test_a_clone_is_whole_and_its_outbox_is_its_own(database: Database) -> None:
    """Every sample table is watched without drift, the outbox is empty, and it belongs to this database."""
    watched = await database.execute("SELECT source, drift FROM relay.watched ORDER BY source")
    assert watched == [(f"public.{table}", None) for table in sorted(WATCHED)]
    assert await database.execute("SELECT FROM relay.event") == []
    owner = (
        "SELECT FROM relay.state JOIN pg_database ON oid = database_oid WHERE datname = current_database()"
    )
    assert len(await database.execute(owner)) == 1


async def test_a_change_is_captured(database: Database) -> None:
    """What is written to a watched table is in the outbox of that database."""
    await database.execute(INSERT, "ana@example.org")
    assert await database.execute("SELECT op, new ->> 'email' FROM relay.event") == [
        ("insert", "ana@example.org")
    ]


async def test_the_daemon_role_reads_events_and_no_unlisted_column(database: Database) -> None:
    """The role of the daemon reads the outbox and listed columns; it cannot write payments or read passwords."""
    async with await psycopg.AsyncConnection.connect(database.daemon_dsn, autocommit=True) as daemon:
        await daemon.execute("SELECT FROM relay.event")
        await daemon.execute("SELECT id, email FROM accounts_customuser")
        for forbidden in ("SELECT password FROM accounts_customuser", "DELETE FROM accounts_customuser"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await daemon.execute(forbidden.encode())


async def test_a_bare_database_has_nothing(bare_database: Database) -> None:
    """Nothing is installed where a test wants to install."""
    assert await bare_database.execute(
        "SELECT to_regnamespace('relay'), to_regclass('accounts_customuser')"
    ) == [(None, None)]


@pytest.mark.parametrize("times", [1, 2])
async def test_databases_do_not_see_each_other(database: Database, times: int) -> None:
    """Each test starts from the template, whatever the one before did."""
    await database.execute(INSERT, "same@example.org")
    assert await database.execute("SELECT count(*) FROM relay.event") == [(1,)]
