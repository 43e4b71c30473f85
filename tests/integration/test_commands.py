"""The other commands that work on a database, on a real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from psycopg import sql

from tests.support.commands import Commands, isolate, one_line, watched
from tests.support.database import Database


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Commands in an empty directory."""
    isolate(tmp_path, monkeypatch)
    return Commands(capsys, tmp_path)


async def test_status_tells_what_is_watched(commands: Commands, database: Database) -> None:
    """status shows versions and every watched table, as text and as JSON, and exits with 0 when all is whole."""
    commands.configure(database.dsn)
    code, out, _ = await commands("status")
    assert code == 0
    assert "schema_version" in out
    assert "public.finances_purchasetransaction" in out
    code, out, _ = await commands("status", "--json")
    status = json.loads(out)
    assert status["at_home"] is True
    assert {table["source"] for table in status["watched"]} == set(await watched(database))
    assert status["daemon"]["ready"] is None


async def test_status_can_be_read_by_the_daemons_role(commands: Commands, database: Database) -> None:
    """relay_reader is enough for status and prune."""
    commands.configure(database.daemon_dsn)
    assert (await commands("status"))[0] == 0
    assert (await commands("prune"))[0] == 0


async def test_drift_is_visible_and_fails_status(commands: Commands, database: Database) -> None:
    """A watched column that was dropped shows in status, whose exit code is then 1."""
    commands.configure(database.dsn)
    await database.execute("ALTER TABLE accounts_customuser DROP COLUMN name CASCADE")
    code, out, _ = await commands("status")
    assert code == 1
    assert "column name is gone" in out


async def test_prune_deletes_what_is_old(commands: Commands, database: Database) -> None:
    """prune works in batches until nothing older than --keep is left, leaves what is younger, and says which it was."""
    commands.configure(database.dsn)
    await database.execute(
        "INSERT INTO accounts_customuser (email, name, phone_number, password, is_active, is_staff, is_superuser,"
        " date_joined) SELECT n || '@example.org', 'n', '', '', true, false, false, now() FROM generate_series(1, 50) n"
    )
    assert await database.execute("SELECT count(*) FROM relay.event") == [(50,)]
    code, out, _ = await commands("prune", "--keep", "1h")
    assert code == 0
    assert "nothing is old enough yet" in out
    assert await database.execute("SELECT count(*) FROM relay.event") == [(50,)]
    await database.execute("UPDATE relay.horizon SET taken_at = taken_at - interval '1 day'")
    code, out, _ = await commands("prune", "--keep", "1h")
    assert code == 0
    ((horizon,),) = await database.execute("SELECT left(horizon_at::text, 19) FROM relay.state")
    assert f"what was committed before {horizon} is gone" in out
    ((left,),) = await database.execute("SELECT count(*) FROM relay.event")
    assert left <= 2  # the witnesses of positions stay


@pytest.mark.parametrize("name", ["status", "prune"])
async def test_an_absent_schema_says_how_to_install(
    commands: Commands, bare_database: Database, name: str
) -> None:
    """Without schema relay the line names the command that installs it, with exit code 4."""
    commands.configure(bare_database.dsn)
    code, _, err = await commands(name)
    assert code == 4
    assert "relay install --apply" in one_line(err)


async def test_a_wrong_password_user_or_database_is_named(commands: Commands, database: Database) -> None:
    """Each has its own line with what to check, and none shows a password."""
    good = database.dsn
    head, _, tail = good.rpartition("@")
    scheme, _, user = head.partition("://")
    name = user.partition(":")[0]
    for dsn, why in (
        (f"{scheme}://{name}:geheim@{tail}", "password authentication failed"),
        (f"{scheme}://nobody:geheim@{tail}", "nobody"),
        (good.replace(f"/{database.name}", "/nowhere"), 'database "nowhere" does not exist'),
    ):
        commands.configure(dsn)
        code, _, err = await commands("status")
        assert code == 4
        assert why in one_line(err)
        assert "geheim" not in err


async def test_a_role_without_rights_is_told_what_to_grant(commands: Commands, database: Database) -> None:
    """A role that may not read the outbox learns the GRANT it lacks."""
    role = f"stranger_of_{database.name}"
    password = sql.Literal(database.server.password).as_string()
    await database.execute(f"CREATE ROLE {role} LOGIN PASSWORD {password}")
    try:
        commands.configure(database.server.dsn(database.name, role))
        for name in ("status", "prune", "install"):
            code, _, err = await commands(name)
            assert code == 4
            assert "GRANT relay_" in one_line(err)
    finally:
        await database.execute(f"DROP ROLE {role}")
