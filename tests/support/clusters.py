"""Copies of a private server: a standby that follows it, or a cold copy of its files."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from relay.demo.postgres import Postgres

__all__ = ["copy_of", "promote"]


@contextlib.contextmanager
def copy_of(server: Postgres, *, standby: bool) -> Iterator[Postgres]:
    """A second server with the data that ``server`` has now; with ``standby`` it follows until it is promoted."""
    directory = Path(tempfile.mkdtemp(prefix="payment-relay-", dir=server.directory.parent))
    copy = Postgres(directory, server.bindir, server._account, server._settings)
    copy.password = server.password
    try:
        options = ["--write-recovery-conf"] if standby else []
        subprocess.run(
            [
                server.bindir / "pg_basebackup",
                "--pgdata",
                directory / "data",
                "--dbname",
                server.dsn(),
                "--checkpoint=fast",
                "--wal-method=stream",
                "--no-sync",
                *options,
            ],
            check=True,
            capture_output=True,
        )
        if server._account is not None:
            for path in (directory, *directory.rglob("*")):
                os.chown(path, server._account.uid, server._account.gid)
        (directory / "data").chmod(0o700)
        copy._launch_on_a_free_port()
        yield copy
    finally:
        copy.stop()
        shutil.rmtree(directory, ignore_errors=True)


def promote(server: Postgres) -> None:
    """Make a standby a primary; returns when it accepts writes. Its timeline is a new one."""
    subprocess.run(
        [
            server.bindir / "psql",
            "--no-psqlrc",
            "--quiet",
            "--command",
            "SELECT pg_promote(true)",
            server.dsn(),
        ],
        check=True,
        capture_output=True,
    )
