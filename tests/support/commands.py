"""Running commands in a test: in an empty directory, without the variables of whoever runs the tests."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from relay import cli
from relay.resources import sql_directory
from tests.support.database import Database

__all__ = ["AUTH", "EXAMPLE", "Commands", "create_payment_tables", "isolate", "one_line", "run", "watched"]

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"

#: What makes the example a config that can serve.
AUTH = {
    "RELAY_AUTH__SECRETS": "a secret of thirty-two bytes or more",
    "RELAY_AUTH__ALGORITHMS": "HS256",
    "RELAY_AUTH__AUDIENCE": "payment-relay",
}


#: A channel with a look-up: two tables to watch.
CHANNELS = """
[channels.transactions]
table = "public.finances_purchasetransaction"
order = "created_at desc"
fields = { id = { column = "id" }, amount = { column = "amount" }, email = { lookup = "customer.email" } }
[channels.transactions.lookups.customer]
key = "student_id"
sql = "SELECT id, email FROM accounts_customuser WHERE id = ANY(%(keys)s)"
reads = { "public.accounts_customuser" = ["email"] }
"""


def isolate(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to ``directory`` and forget every variable of ours."""
    monkeypatch.chdir(directory)
    for name in os.environ:
        if name.startswith("RELAY_"):
            monkeypatch.delenv(name)


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command line."""
    code = cli.main(argv)
    out, err = capsys.readouterr()
    return code, out, err


def one_line(err: str) -> str:
    """``err``, which is one line of ours and nothing else."""
    assert err.startswith("relay: "), err
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    return err


class Commands:
    """Runs commands with a config for one database."""

    def __init__(self, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
        self._capsys = capsys
        self._path = directory / "config.toml"

    def configure(self, dsn: str, admin_dsn: str = "", channels: str = CHANNELS) -> None:
        """Write the config."""
        self._path.write_text(
            f'[database]\ndsn = "{dsn}"\nadmin_dsn = "{admin_dsn}"\n[server]\nops_port = 0\n{channels}'
        )

    async def __call__(self, *argv: str) -> tuple[int, str, str]:
        """Exit code, output and errors. In a thread, for a command has an event loop of its own."""
        code = await asyncio.to_thread(cli.main, argv)
        out, err = self._capsys.readouterr()
        return code, out, err


async def create_payment_tables(database: Database) -> None:
    """The sample tables, not watched."""
    await database.execute((sql_directory() / "demo" / "payments.sql").read_text())


async def watched(database: Database) -> dict[str, set[str]]:
    """Every watched table with its columns."""
    rows = await database.execute("SELECT source, columns FROM relay.watched")
    return {source: set(columns) for source, columns in rows}
