"""One private Postgres server in a temporary directory, which leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from relay.demo import guard
from relay.demo.binaries import (
    Account,
    copy_binaries,
    embedded_bindir,
    enterable,
    server_account,
    system_bindir,
)
from relay.errors import DatabaseUnreachable, RelayError

__all__ = ["Postgres", "embedded_bindir", "system_bindir"]

START_SECONDS = 60
LOOK_SECONDS = 0.02
UNIX_SOCKET_PATH_LIMIT = 90  # sun_path holds 107 bytes; the file name takes the rest

# The data directory never outlives the server, so flushing it to disk protects nothing. Shared memory
# segments in files of the data directory vanish with it; those in /dev/shm would survive a crash.
DEFAULTS: Mapping[str, str] = {
    "fsync": "off",
    "dynamic_shared_memory_type": "mmap",
    "listen_addresses": "127.0.0.1",
    "log_timezone": "UTC",
    "max_connections": "200",
    "timezone": "UTC",
}


class Postgres:
    """A running server; use :meth:`start` to make one and :meth:`stop`, or ``with``, to end it.

    It listens on a free port of 127.0.0.1 and asks for a password that was made up for it. It ends, and its
    directory goes, when this process ends, however this process ends.
    """

    def __init__(
        self, directory: Path, bindir: Path, account: Account | None, settings: Mapping[str, str]
    ) -> None:
        self.directory = directory
        self.bindir = bindir
        self.port = 0
        self.pid = 0
        self.password = secrets.token_hex(16)
        self._account = account
        self._settings = settings
        self._preload: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(
        cls,
        bindir: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        preload: Path | None = None,
    ) -> Self:
        """Create a cluster and start it; returns when it accepts connections.

        ``bindir`` holds initdb and postgres (default: the embedded ones); ``settings`` are server parameters;
        ``preload`` is a shared library put before all others in the server. DatabaseUnreachable says why not.
        """
        bindir = bindir or embedded_bindir()
        account = server_account()
        directory = _temporary_directory(account)
        try:
            if account is not None and not enterable(bindir / "postgres", account):
                bindir = copy_binaries(bindir, directory / "programs", account)
            server = cls(directory, bindir, account, {**DEFAULTS, **(settings or {})})
            if preload is not None:
                server._preload = Path(shutil.copy(preload, directory))
                server._preload.chmod(0o755)
            server._create_cluster()
            server._launch_on_a_free_port()
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return server

    def dsn(self, dbname: str = "postgres", user: str = "postgres") -> str:
        """A connection URL; the password in it is the superuser's, give it to other roles that you create."""
        return f"postgresql://{user}:{self.password}@127.0.0.1:{self.port}/{dbname}"

    @property
    def log(self) -> str:
        """What initdb and the server have said so far."""
        return (self.directory / "log").read_text(errors="replace")

    def crash(self) -> None:
        """Kill every process of the server at once (SIGKILL), as a power cut would; the data directory stays.

        Linux only.
        """
        postmaster = psutil.Process(self.pid)
        postmaster.suspend()  # so that no child is born while they are counted
        family = []
        for process in [*postmaster.children(), postmaster]:  # the postmaster last: no child sees it go
            with contextlib.suppress(ProcessLookupError):
                family.append(os.pidfd_open(process.pid))
        for handle in family:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        # A child that still holds the shared memory would keep the next postmaster from starting. A pidfd
        # tells the end of a process at once; until its number goes depends on how soon PID 1 reaps zombies.
        for handle in family:
            select.select([handle], [], [], START_SECONDS)
            os.close(handle)
        self._server_has_ended()

    def start_again(self) -> None:
        """Start after :meth:`crash`, on the same data and port; returns when recovery is done."""
        self._launch()

    def restart(self) -> None:
        """Fast shutdown and start, on the same data and port."""
        os.kill(self.pid, signal.SIGINT)
        self._server_has_ended()
        self._launch()

    def stop(self) -> None:
        """Fast shutdown; the directory is removed. Safe to repeat, and after a crash."""
        if self._guard is not None:
            self._release(self._guard)
            self._guard = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _create_cluster(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(self.password + "\n")
        self._own(password_file)
        initdb = self._guarded(
            str(self.bindir / "initdb"), "--pgdata=data", "--username=postgres", "--pwfile=password",
            "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync",
        )  # fmt: skip
        try:
            initdb.wait(START_SECONDS)
        finally:
            self._release(initdb)
        password_file.unlink(missing_ok=True)
        if initdb.returncode != 0:
            raise DatabaseUnreachable(f"initdb failed: {self._last_words()}")

    def _launch_on_a_free_port(self) -> None:
        # Between our asking for a free port and Postgres taking it, somebody else may; thrice is no accident.
        for attempt in range(3):
            self.port = _free_port()
            try:
                return self._launch()
            except DatabaseUnreachable:
                if attempt == 2 or "Address already in use" not in self.log:
                    raise
                (self.directory / "log").unlink()

    def _launch(self) -> None:
        sockets = str(self.directory) if len(str(self.directory)) < UNIX_SOCKET_PATH_LIMIT else ""
        settings = {"unix_socket_directories": sockets, "port": str(self.port), **self._settings}
        environment = [] if self._preload is None else ["env", f"LD_PRELOAD={self._preload}"]
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        before = self.pid
        process = self._guarded(*environment, str(self.bindir / "postgres"), "-D", "data", *options)
        self._guard = process
        for _ in range(int(START_SECONDS / LOOK_SECONDS)):
            # postmaster.pid: line 1 is the process id, line 8 the state. A crash leaves the old file behind.
            lines = self._postmaster_pid()
            if len(lines) >= 8 and lines[7].strip() in ("ready", "standby") and int(lines[0]) != before:
                self.pid = int(lines[0])
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
                self._release(process)
                raise DatabaseUnreachable(f"postgres did not start: {self._last_words()}")
        self._release(process)
        raise DatabaseUnreachable(f"postgres was not ready within {START_SECONDS} s: {self._last_words()}")

    def _postmaster_pid(self) -> list[str]:
        try:
            return (self.directory / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _guarded(self, *command: str) -> subprocess.Popen[bytes]:
        who = ["-", "-"] if self._account is None else [str(self._account.uid), str(self._account.gid)]
        # PG* variables of the caller would reach the server; messages are wanted in one language.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                # -I -S: only the standard library, none of our environment, starts in a few milliseconds.
                [sys.executable, "-I", "-S", guard.__file__, str(self.directory), *who, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**environment, "LC_ALL": "C"},
                start_new_session=True,  # Ctrl-C in the terminal is for us; we end the server
            )

    def _server_has_ended(self) -> None:
        # Its guard must see that before we let go of it: a guard that is let go of removes the directory.
        if self._guard is not None:
            self._guard.wait(START_SECONDS)
            self._release(self._guard)
            self._guard = None

    @staticmethod
    def _release(process: subprocess.Popen[bytes]) -> None:
        """Let go of a guard: it ends its command if that still runs."""
        assert process.stdin is not None
        process.stdin.close()
        process.wait()

    def _own(self, path: Path) -> None:
        path.chmod(0o600)
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    def _last_words(self) -> str:
        lines = [line for line in self.log.splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


def _temporary_directory(account: Account | None) -> Path:
    candidates = [tempfile.gettempdir(), "/tmp", "/var/tmp"]
    if account is None:
        return Path(tempfile.mkdtemp(prefix="payment-relay-", dir=candidates[0]))
    for parent in candidates:
        path = Path(tempfile.mkdtemp(prefix="payment-relay-", dir=parent))
        os.chown(path, account.uid, account.gid)
        if enterable(path, account):
            return path
        path.rmdir()
    raise RelayError(
        f"the account {account.name} can enter none of {candidates}: set TMPDIR to a directory it can"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
