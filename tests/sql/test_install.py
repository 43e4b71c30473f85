"""Installing, installing again, and removing it all: with psql, with one execute per file, and without a superuser."""

import re
import subprocess

import psycopg
import pytest

from relay.demo.postgres import Postgres
from relay.resources import sql_directory
from tests.sql.helpers import PAYMENT, apply_files, drift, events, watch
from tests.support.database import Database, new_database

OBJECTS = """
SELECT oid::regclass::text, relkind::text, coalesce(array_to_string(relacl, ' '), '')
  FROM pg_class WHERE relnamespace = 'relay'::regnamespace
UNION ALL
SELECT oid::regprocedure::text, prosrc, coalesce(array_to_string(proacl, ' '), '')
  FROM pg_proc WHERE pronamespace = 'relay'::regnamespace
ORDER BY 1
"""


async def test_files_may_be_applied_again(relay_database: Database) -> None:
    """A second run changes no object, no right, no watch and no state."""
    await watch(relay_database)
    await relay_database.execute("INSERT INTO payment DEFAULT VALUES")
    state = "SELECT s.*, s.xmin FROM relay.state AS s"
    fingerprint = "SELECT * FROM relay.fingerprint()"
    before = [await relay_database.execute(query) for query in (OBJECTS, state, fingerprint)]
    await apply_files(relay_database)
    assert [await relay_database.execute(query) for query in (OBJECTS, state, fingerprint)][:2] == before[:2]
    assert len(await events(relay_database)) == 1
    assert await drift(relay_database) is None


async def test_every_file_has_the_same_header() -> None:
    """Each file opens by saying what it does, why, which locks it takes, and that it may run again."""
    files = sorted(sql_directory().glob("*.sql"))
    assert len(files) > 5
    for path in files:
        header = path.read_text().split("\n\n", 1)[0]
        assert all(line.startswith("--") for line in header.splitlines()), path
        assert [word for word in re.findall(r"^-- (\w+):  ? ?\S", header, re.M) if word != path.stem][
            -4:
        ] == [
            "What",
            "Why",
            "Locks",
            "Again",
        ], path


async def test_files_are_plain_sql() -> None:
    """No file needs psql: no backslash command, no variable, and no transaction of its own."""
    for path in sql_directory().glob("*.sql"):
        text = re.sub(r"\$(\w*)\$.*?\$\1\$", "", path.read_text(), flags=re.S)
        text = re.sub(r"--.*", "", re.sub(r"'(?:[^']|'')*'", "''", text))
        assert not re.search(r"^\s*\\|^\s*(BEGIN|COMMIT)\b|[^:]:[a-z'\"]", text, re.M | re.I), path


async def test_psql_alone_installs_and_uninstalls(own_postgres: Postgres) -> None:
    """psql runs the files in order, twice, and uninstall.sql, twice; nothing is left in the database or the server."""

    def psql(database: Database, *files: str) -> None:
        for file in files:
            command = [
                str(own_postgres.bindir / "psql"),
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                database.dsn,
                "-f",
                file,
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr

    files = [str(path) for path in sorted(sql_directory().glob("[0-9]*.sql"))]
    async with new_database(own_postgres) as database, new_database(own_postgres) as other:
        psql(database, *files, *files)
        psql(other, *files)
        await database.execute(PAYMENT)
        await watch(database)
        await database.execute("INSERT INTO payment DEFAULT VALUES")
        assert len(await events(database)) == 1
        psql(database, str(sql_directory() / "uninstall.sql"))
        assert await database.execute("SELECT to_regnamespace('relay')::text, count(*) FROM pg_trigger") == [
            (None, 0)
        ]
        rights = "SELECT relacl FROM pg_class WHERE oid = 'payment'::regclass"
        assert await database.execute(rights) == [(None,)]
        rights = "SELECT attacl FROM pg_attribute WHERE attrelid = 'payment'::regclass AND attacl IS NOT NULL"
        assert await database.execute(rights) == []
        assert len(await database.execute("SELECT FROM pg_roles WHERE rolname LIKE 'relay%%'")) == 2
        await database.execute("INSERT INTO payment DEFAULT VALUES; TRUNCATE payment")
        psql(database, str(sql_directory() / "uninstall.sql"))
        psql(other, str(sql_directory() / "uninstall.sql"))
        assert await database.execute("SELECT FROM pg_roles WHERE rolname LIKE 'relay%%'") == []


async def test_dropping_the_schema_fails_no_payment(relay_database: Database) -> None:
    """DROP SCHEMA relay CASCADE takes the triggers with it, so that payments go on."""
    await watch(relay_database)
    await relay_database.execute("CREATE TABLE bill (id int PRIMARY KEY) PARTITION BY LIST (id)")
    await relay_database.execute("CREATE TABLE bill_1 PARTITION OF bill FOR VALUES IN (1)")
    await watch(relay_database, "bill", [])
    await relay_database.execute("DROP SCHEMA relay CASCADE")
    await relay_database.execute(
        "INSERT INTO payment DEFAULT VALUES; INSERT INTO bill VALUES (1); TRUNCATE payment, bill"
    )
    await apply_files(relay_database)
    assert await watch(relay_database) == "watching"


async def test_a_publication_for_all_tables_is_refused(bare_database: Database) -> None:
    """Installing beside a publication FOR ALL TABLES would break that replication, and says what to do instead."""
    await bare_database.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    with pytest.raises(
        psycopg.errors.ObjectNotInPrerequisiteState, match="everything is FOR ALL TABLES"
    ) as caught:
        await apply_files(bare_database)
    assert "CREATE PUBLICATION ... FOR TABLE" in (caught.value.diag.message_hint or "")
    assert await bare_database.execute("SELECT to_regnamespace('relay')") == [(None,)]


async def test_somebody_elses_schema_is_left_alone(bare_database: Database) -> None:
    """A schema of that name that belongs to another role is not touched."""
    await bare_database.execute("CREATE SCHEMA relay")
    with pytest.raises(psycopg.errors.DuplicateSchema, match="belongs to postgres") as caught:
        await apply_files(bare_database)
    assert "RENAME" in (caught.value.diag.message_hint or "")


async def test_a_role_of_ours_that_may_log_in_is_refused(own_postgres: Postgres) -> None:
    """Capture functions run as relay_owner, so a relay_owner with more rights than that is refused."""
    async with new_database(own_postgres) as database:
        await database.execute("CREATE ROLE relay_owner LOGIN SUPERUSER")
        with pytest.raises(psycopg.errors.DuplicateObject, match="more than a plain role") as caught:
            await apply_files(database)
        await database.execute(caught.value.diag.message_hint or "")
        await apply_files(database)


async def test_a_table_owner_who_is_no_superuser(own_postgres: Postgres) -> None:
    """A superuser creates the two roles once, as the refusal says; the rest the owner of the tables does alone."""
    password = own_postgres.password
    async with new_database(own_postgres) as database:
        await database.execute(f"CREATE ROLE django LOGIN PASSWORD '{password}'")
        as_django = own_postgres.dsn(database.name, "django")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not create it") as caught:
            await apply_files(database, as_django)
        await database.execute((caught.value.diag.message_hint or "").partition(": ")[2])
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may not create a schema") as caught:
            await apply_files(database, as_django)
        await database.execute((caught.value.diag.message_hint or "").partition(": ")[2].partition(";")[0])
        await database.execute("GRANT CREATE ON SCHEMA public TO django")
        await check_as(database, as_django)


async def test_a_role_that_may_create_roles(own_postgres: Postgres) -> None:
    """CREATEROLE and the right to create a schema are enough; nobody else has to help."""
    async with new_database(own_postgres) as database:
        await database.execute(f"CREATE ROLE django LOGIN CREATEROLE PASSWORD '{own_postgres.password}'")
        await database.execute(
            f"GRANT CREATE ON DATABASE {database.name} TO django; GRANT CREATE ON SCHEMA public TO django"
        )
        await check_as(database, own_postgres.dsn(database.name, "django"))


async def check_as(database: Database, dsn: str) -> None:
    """Everything an owner does, as somebody who is no superuser."""
    await apply_files(database, dsn)
    await apply_files(database, dsn)
    owner = await database.connect(dsn)
    await owner.execute(PAYMENT)
    for columns in ("{amount,status}", "{amount,secret}"):
        await owner.execute("SELECT relay.watch('payment', %s)", [columns])
    await owner.execute("INSERT INTO payment DEFAULT VALUES")
    assert [event.new for event in await events(database)] == [{"id": 1, "amount": None, "secret": None}]
    assert await drift(database) is None
    for call in (
        "relay.prune('0')",
        "relay.revoke('1', 'test')",
        "relay.reset()",
        "relay.unwatch('payment')",
    ):
        await owner.execute(f"SELECT {call}")
    foreign = await database.execute(
        "SELECT oid::regclass FROM pg_class"
        " WHERE relnamespace = 'relay'::regnamespace AND relowner <> 'relay_owner'::regrole"
    )
    assert foreign == []
    await owner.execute("SELECT relay.watch('payment', '{amount}')")
    await owner.execute((sql_directory() / "uninstall.sql").read_bytes())
    assert await database.execute("SELECT to_regnamespace('relay')") == [(None,)]
    await owner.execute("INSERT INTO payment DEFAULT VALUES")
