"""The private Postgres server: it starts, crashes, comes back, and leaves nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from relay.demo.binaries import Account, copy_binaries, embedded_bindir, enterable, server_account
from relay.demo.postgres import Postgres
from relay.errors import DatabaseUnreachable, RelayError
from tests.support.waiting import eventually


async def one(dsn: str, statement: str) -> object:
    """The first value of the first row."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        row = await (await connection.execute(statement)).fetchone()
    assert row is not None
    return row[0]


async def run(dsn: str, statement: str) -> None:
    """Run a statement that has no result."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(statement)


async def test_committed_rows_survive_a_crash_and_uncommitted_ones_do_not(own_postgres: Postgres) -> None:
    """After a crash the server starts on the same data and port: what was committed is there, no more."""
    dsn = own_postgres.dsn()
    await run(dsn, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
    connection = await psycopg.AsyncConnection.connect(dsn)
    await connection.execute("INSERT INTO kept VALUES (2)")
    own_postgres.crash()
    await connection.close()
    own_postgres.start_again()
    assert await one(dsn, "SELECT array_agg(n) FROM kept") == [1]


async def test_a_restart_keeps_data_and_port(own_postgres: Postgres) -> None:
    """A restart is a fast shutdown and a start: same port, same rows, another process."""
    before, port = own_postgres.pid, own_postgres.port
    await run(own_postgres.dsn(), "CREATE TABLE kept AS SELECT 7 AS n")
    own_postgres.restart()
    assert own_postgres.pid != before
    assert own_postgres.port == port
    assert await one(own_postgres.dsn(), "SELECT n FROM kept") == 7


async def test_a_password_is_asked_for(own_postgres: Postgres) -> None:
    """A neighbour on the same machine does not get in: without the password there is no connection."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await one(own_postgres.dsn().replace(own_postgres.password, "guess"), "SELECT 1")


async def test_settings_reach_the_server() -> None:
    """A setting given at start is the server's."""
    with Postgres.start(settings={"max_prepared_transactions": "5", "fsync": "on"}) as server:
        assert await one(server.dsn(), "SHOW max_prepared_transactions") == "5"
        assert await one(server.dsn(), "SHOW fsync") == "on"


def test_stopping_leaves_no_process_and_no_directory() -> None:
    """After stop, also after a crash and a second stop, neither processes nor files are left."""
    server = Postgres.start()
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
    server.stop()
    assert not server.directory.exists()
    assert [process for process in family if process.is_running()] == []
    server.stop()

    server = Postgres.start()
    server.crash()
    assert (server.directory / "data").exists()
    server.stop()
    assert not server.directory.exists()


async def test_nothing_outlives_a_parent_that_was_killed() -> None:
    """A parent killed with SIGKILL takes the server and its directory with it."""
    program = (
        "from relay.demo.postgres import Postgres\n"
        "server = Postgres.start()\n"
        "print(server.pid, server.directory, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, directory = parent.stdout.readline().split()
        assert psutil.pid_exists(int(pid))
        parent.send_signal(signal.SIGKILL)
    await eventually(lambda: not psutil.pid_exists(int(pid)) and not Path(directory).exists())


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A setting that Postgres refuses becomes one line with its own words."""
    with pytest.raises(DatabaseUnreachable, match="no_such_setting") as refusal:
        Postgres.start(settings={"no_such_setting": "1"})
    assert "\n" not in str(refusal.value)


async def test_root_gets_a_server_although_the_programs_are_out_of_reach(tmp_path: Path) -> None:
    """Programs below a directory of mode 0700 are copied, for root, to where the account gets at them."""
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    package = embedded_bindir().parent.parent
    shutil.copytree(package, hidden / package.name, symlinks=True)
    shutil.copytree(package.with_name(package.name + ".libs"), hidden / (package.name + ".libs"))
    with Postgres.start(hidden / package.name / "pginstall" / "bin") as server:
        assert server.bindir.is_relative_to(server.directory) == (os.geteuid() == 0)
        assert await one(server.dsn(), "SELECT 1") == 1


def test_programs_of_another_installation_are_not_copied(tmp_path: Path) -> None:
    """A system installation that the account cannot enter is refused with the remedy, not copied in part."""
    with pytest.raises(RelayError, match="chmod"):
        copy_binaries(tmp_path / "bin", tmp_path / "copy", Account("postgres", 1, 1))


def test_a_path_is_enterable_only_if_every_directory_above_it_is(tmp_path: Path) -> None:
    """Rights count for owner, group and others as the kernel counts them, up to the root."""
    stranger = Account("stranger", 987654, 987654)
    owner = Account("owner", os.getuid(), os.getgid())
    program = tmp_path / "closed" / "program"
    program.parent.mkdir(mode=0o700)
    program.touch(mode=0o755)
    assert not enterable(program, stranger)
    assert enterable(program, owner)


def test_only_root_needs_another_account() -> None:
    """Root is given an account that exists; everybody else runs the server as themselves."""
    account = server_account()
    assert (account is not None) == (os.geteuid() == 0)
    assert account is None or account.uid != 0
