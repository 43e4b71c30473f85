"""`relay serve` as a process: everything that keeps it from starting is one line and the right exit code."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.commands import AUTH, CHANNELS, one_line
from tests.support.database import Database
from tests.support.waiting import eventually

POLICY = '[[policies]]\nname = "all"\nwhen = {}\nchannels = ["*"]\n'


@asynccontextmanager
async def _serving(directory: Path, config: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Path]]:
    """A process with ``relay serve`` and the file it logs to. It is gone at the end."""
    (directory / "config.toml").write_text(config)
    log = directory / "log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "relay", "serve"),
            cwd=directory,
            env=clean | AUTH | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=stream,
        )
    try:
        yield process, log
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _config(dsn: str, channels: str = CHANNELS, port: int = 0) -> str:
    return f'[database]\ndsn = "{dsn}"\n[server]\nport = {port}\nops_port = 0\n{channels}\n{POLICY}'


class Serve:
    """Runs ``relay serve`` to its end, which is expected to come by itself."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def __call__(self, dsn: str, *, channels: str = CHANNELS, port: int = 0) -> tuple[int, str]:
        """Exit code, and what standard error has beside the log."""
        async with _serving(self._directory, _config(dsn, channels, port)) as (process, log):
            async with asyncio.timeout(60):
                code = await process.wait()
        lines = log.read_text().splitlines(keepends=True)
        return code, "".join(line for line in lines if not line.startswith("{"))


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """``relay serve`` in a directory of its own."""
    return Serve(tmp_path)


async def test_a_database_without_the_schema(serve: Serve, bare_database: Database) -> None:
    """Where schema relay is absent the line names the command that installs it."""
    code, err = await serve(bare_database.dsn)
    assert code == 4
    assert "relay install --apply" in one_line(err)


@pytest.mark.parametrize(
    ("version", "remedy"), [(0, "relay install --apply"), (1000, "upgrade payment-relay")]
)
async def test_a_schema_of_another_version(
    serve: Serve, database: Database, version: int, remedy: str
) -> None:
    """An older schema names install, a newer one the program's upgrade."""
    await database.execute(f"UPDATE relay.state SET schema_version = {version}")
    code, err = await serve(database.daemon_dsn)
    assert code == 4
    assert remedy in one_line(err)


async def test_a_column_that_is_not_watched(serve: Serve, database: Database) -> None:
    """A config that needs more than is watched names table, column and the command that watches it."""
    channels = (
        '[channels.users]\ntable = "public.accounts_customuser"\n'
        'fields = { id = { column = "id" }, joined = { column = "date_joined" } }\n'
    )
    code, err = await serve(database.daemon_dsn, channels=channels)
    assert code == 3
    line = one_line(err)
    assert "accounts_customuser" in line
    assert "date_joined" in line
    assert "relay install --apply" in line


@pytest.mark.parametrize("column", ["emial", "email"])
async def test_a_table_or_column_that_does_not_exist(serve: Serve, database: Database, column: str) -> None:
    """A table or column that the database lacks is named."""
    table = "accounts_customuser" if column == "emial" else "nowhere"
    channels = f'[channels.a]\ntable = "public.{table}"\nfields = {{ x = {{ column = "{column}" }} }}\n'
    code, err = await serve(database.daemon_dsn, channels=channels)
    assert code == 3
    assert (column if column == "emial" else "public.nowhere") in one_line(err)


async def test_a_look_up_that_cannot_run(serve: Serve, database: Database) -> None:
    """A look-up whose query the database refuses is named at the start, not at the first payment."""
    code, err = await serve(
        database.daemon_dsn, channels=CHANNELS.replace("SELECT id, email", "SELECT id, emial")
    )
    assert code == 3
    line = one_line(err)
    assert "channels.transactions.lookups.customer.sql" in line
    assert "emial" in line


async def test_a_port_in_use(serve: Serve, database: Database) -> None:
    """A port that somebody else listens on is named with its setting."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        code, err = await serve(database.daemon_dsn, port=port)
    assert code == 3
    line = one_line(err)
    assert str(port) in line
    assert "server.port" in line


async def test_wrong_credentials_and_addresses(serve: Serve, database: Database) -> None:
    """Password, database, host and connection string each have their line, without the password in it."""
    head, _, tail = database.daemon_dsn.rpartition("@")
    role = head.partition("://")[2].partition(":")[0]
    for dsn, why in (
        (f"postgresql://{role}:geheim@{tail}", "password authentication failed"),
        (f"{head}@{tail.rpartition('/')[0]}/nowhere", 'database "nowhere" does not exist'),
        (f"postgresql://{role}:geheim@nohost.invalid/x", "nohost.invalid"),
        (f"postgresql://{role}:ge heim@x/y", "database.dsn"),
    ):
        code, err = await serve(dsn)
        assert code == 4
        assert why in one_line(err)
        assert "heim" not in err


async def test_it_ends_well_when_told_to(database: Database, tmp_path: Path) -> None:
    """SIGTERM ends a running daemon with exit code 0."""
    async with _serving(tmp_path, _config(database.daemon_dsn)) as (process, log):
        await eventually(lambda: '"ready"' in log.read_text() or process.returncode is not None)
        assert process.returncode is None, log.read_text()
        process.terminate()
        async with asyncio.timeout(60):
            assert await process.wait() == 0
