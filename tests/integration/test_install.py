"""`relay install` and `relay uninstall` on a real database: plans, repetitions, refusals."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from relay.errors import DatabaseError
from relay.resources import sql_directory
from tests.support.capture import capturing
from tests.support.commands import Commands, create_payment_tables, isolate, one_line, watched
from tests.support.database import Database

PAYMENTS = "public.finances_purchasetransaction"


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Commands in an empty directory."""
    isolate(tmp_path, monkeypatch)
    return Commands(capsys, tmp_path)


async def test_install_shows_its_plan_and_changes_nothing(
    commands: Commands, bare_database: Database
) -> None:
    """Without --apply the plan is printed, as statements for psql, and the database stays as it was."""
    await create_payment_tables(bare_database)
    commands.configure(bare_database.dsn)
    code, out, _ = await commands("install")
    assert code == 0
    assert "schema relay absent, 0 table(s) watched" in out
    assert f"\\i {sql_directory() / '001_roles_and_schema.sql'}" in out
    assert "SELECT relay.watch('public.accounts_customuser', ARRAY['email']);" in out
    assert "Nothing was changed" in out
    assert await bare_database.execute("SELECT to_regnamespace('relay')::text") == [(None,)]


async def test_install_applies_and_then_has_nothing_to_do(
    commands: Commands, bare_database: Database
) -> None:
    """--apply does what the plan says, look-up tables included; the second time there is nothing to do."""
    await create_payment_tables(bare_database)
    commands.configure(bare_database.dsn)
    code, out, err = await commands("install", "--apply")
    assert (code, err) == (0, "")
    assert "done" in out
    assert await watched(bare_database) == {
        "public.finances_purchasetransaction": {"id", "amount", "student_id", "created_at"},
        "public.accounts_customuser": {"id", "email"},
    }
    for argv in (("install",), ("install", "--apply")):
        code, out, _ = await commands(*argv)
        assert code == 0
        assert out.endswith("nothing to do\n")


async def test_the_plan_can_be_run_by_psql(commands: Commands, bare_database: Database) -> None:
    """What install prints is what it would do: run by hand, it leaves nothing to do."""
    await create_payment_tables(bare_database)
    commands.configure(bare_database.dsn)
    _, out, _ = await commands("install")
    for line in out.splitlines():
        if line.startswith("\\i "):
            await bare_database.execute(Path(line.removeprefix("\\i ")).read_text())
        elif line.endswith(";"):
            await bare_database.execute(line)
    assert (await commands("install"))[1].endswith("nothing to do\n")


async def test_install_adds_columns_and_keeps_the_others(commands: Commands, database: Database) -> None:
    """A config that needs more widens what is watched; what others need is not taken away."""
    before = (await watched(database))["public.accounts_customuser"]
    commands.configure(
        database.dsn,
        channels='[channels.users]\ntable = "public.accounts_customuser"\n'
        'fields = { id = { column = "id" }, joined = { column = "date_joined" } }\n',
    )
    code, out, _ = await commands("install", "--apply")
    assert code == 0
    assert "public.accounts_customuser adds date_joined" in out
    assert (await watched(database))["public.accounts_customuser"] == before | {"date_joined"}


async def test_install_mends_a_disabled_trigger(commands: Commands, database: Database) -> None:
    """A trigger that somebody disabled is in the plan, with the reason, and enabled by --apply."""
    commands.configure(database.dsn)
    await database.execute('ALTER TABLE finances_purchasetransaction DISABLE TRIGGER "!relay_capture"')
    _, out, _ = await commands("install", "--apply")
    assert "public.finances_purchasetransaction has its trigger disabled" in out
    assert (await commands("install"))[1].endswith("nothing to do\n")


@pytest.mark.parametrize(
    "loss",
    [
        "REVOKE ALL ON ALL TABLES IN SCHEMA relay FROM relay_reader;"
        " REVOKE ALL ON ALL SEQUENCES IN SCHEMA relay FROM relay_reader;"
        " REVOKE USAGE ON SCHEMA relay FROM relay_reader",
        "REVOKE ALL ON SEQUENCE relay.settled FROM relay_reader",
        "DROP SEQUENCE relay.settled",
    ],
)
async def test_install_mends_lost_grants(commands: Commands, database: Database, loss: str) -> None:
    """A restore without privileges takes relay_reader its rights in schema relay; --apply gives them again."""
    commands.configure(database.daemon_dsn, database.dsn)
    await database.execute(loss)
    with pytest.raises(DatabaseError, match="relay install --apply"):
        async with capturing(database.daemon_dsn, PAYMENTS):
            pass
    _, out, _ = await commands("install", "--apply")
    assert "relay_reader lacks rights in schema relay" in out
    assert (await commands("install"))[1].endswith("nothing to do\n")
    async with capturing(database.daemon_dsn, PAYMENTS) as seen:
        await seen.capture.poll_now()


async def test_install_lets_the_daemons_role_read(commands: Commands, bare_database: Database) -> None:
    """The role in database.dsn gets relay_reader if it has not got it, and nothing else."""
    await create_payment_tables(bare_database)
    role = f"daemon_of_{bare_database.name}"
    await bare_database.execute(f"CREATE ROLE {role} LOGIN")
    try:
        commands.configure(bare_database.server.dsn(bare_database.name, role), bare_database.dsn)
        _, out, _ = await commands("install", "--apply")
        assert f"GRANT relay_reader TO {role};" in out
        assert (await commands("install"))[1].endswith("nothing to do\n")
    finally:
        await bare_database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_table_owner_who_is_no_superuser_can_install(
    commands: Commands, bare_database: Database
) -> None:
    """An ordinary owner installs and watches once a superuser has made the roles and given them."""
    name, owner = bare_database.name, f"owner_of_{bare_database.name}"
    password = sql.Literal(bare_database.server.password).as_string()
    await bare_database.execute(f"CREATE ROLE {owner} LOGIN PASSWORD {password}")
    await bare_database.execute(
        f"GRANT CREATE ON DATABASE {name} TO {owner}; GRANT ALL ON SCHEMA public TO {owner}"
    )
    for role in ("relay_owner", "relay_reader"):
        if not await bare_database.execute("SELECT FROM pg_roles WHERE rolname = %s", role):
            await bare_database.execute(f"CREATE ROLE {role} NOLOGIN")
    dsn = bare_database.server.dsn(name, owner)
    try:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            await connection.execute((sql_directory() / "demo" / "payments.sql").read_bytes())
        commands.configure(dsn)
        code, _, err = await commands("install", "--apply")
        assert code == 4
        assert "GRANT relay_owner TO" in one_line(err)
        await bare_database.execute(
            f"GRANT relay_owner TO {owner}; GRANT relay_reader TO {owner} WITH ADMIN OPTION"
        )
        code, _, err = await commands("install", "--apply")
        assert (code, err) == (0, "")
        assert (await commands("install"))[1].endswith("nothing to do\n")
    finally:
        await bare_database.execute("DROP SCHEMA IF EXISTS relay CASCADE")
        await bare_database.execute(f"DROP OWNED BY {owner} CASCADE; DROP ROLE {owner}")


@pytest.mark.parametrize(
    ("channels", "why"),
    [
        (
            'table = "public.nowhere"\nfields = { id = { column = "id" } }',
            "table public.nowhere, which does not exist",
        ),
        (
            'table = "public.accounts_customuser"\nfields = { id = { column = "emial" } }',
            'did you mean "email"?',
        ),
    ],
)
async def test_install_refuses_a_mapping_that_does_not_fit(
    commands: Commands, bare_database: Database, channels: str, why: str
) -> None:
    """A table or column that does not exist is named before anything is changed, with exit code 3."""
    await create_payment_tables(bare_database)
    commands.configure(bare_database.dsn, channels=f"[channels.a]\n{channels}\n")
    code, out, err = await commands("install", "--apply")
    assert (code, out) == (3, "")
    assert why in one_line(err)
    assert await bare_database.execute("SELECT to_regnamespace('relay')::text") == [(None,)]


async def test_refusals_of_the_database_keep_their_hint(commands: Commands, bare_database: Database) -> None:
    """What relay.watch refuses comes out as one line with its own remedy, and earlier steps stay done."""
    await bare_database.execute("CREATE TABLE keyless (id int)")
    channels = '[channels.a]\ntable = "public.keyless"\nfields = { id = { column = "id" } }\n'
    commands.configure(bare_database.dsn, channels=channels)
    code, _, err = await commands("install", "--apply")
    assert code == 4
    assert "no primary key" in one_line(err)
    assert "ADD PRIMARY KEY" in err
    await bare_database.execute("ALTER TABLE keyless ADD PRIMARY KEY (id)")
    assert (await commands("install", "--apply"))[0] == 0


async def test_a_newer_schema_stops_install(commands: Commands, database: Database) -> None:
    """A schema that is newer than the program is not touched: exit code 4 and what to upgrade."""
    await database.execute("UPDATE relay.state SET schema_version = 1000")
    commands.configure(database.dsn)
    code, _, err = await commands("install", "--apply")
    assert code == 4
    assert "has version 1000" in one_line(err)


async def test_uninstall_removes_everything(commands: Commands, bare_database: Database) -> None:
    """uninstall lists what it would remove, --apply removes it, and the second time there is nothing to do."""
    await create_payment_tables(bare_database)
    commands.configure(bare_database.dsn)
    await commands("install", "--apply")
    code, out, _ = await commands("uninstall")
    assert code == 0
    assert "public.accounts_customuser is watched and will not be any more" in out
    assert "Nothing was changed" in out
    assert len(await watched(bare_database)) == 2
    assert (await commands("uninstall", "--apply"))[0] == 0
    assert await bare_database.execute("SELECT to_regnamespace('relay')::text") == [(None,)]
    triggers = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '!relay%%'"
    assert await bare_database.execute(triggers) == [(0,)]
    assert "nothing to do" in (await commands("uninstall", "--apply"))[1]
