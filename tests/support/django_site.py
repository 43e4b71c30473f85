"""examples/django with a database, a web server and a relay, all of them real processes on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from relay.config import Settings, load
from tests.support.browser import Browser
from tests.support.chaos.relays import free_port
from tests.support.database import Database, create_database
from tests.support.published import forget, publish
from tests.support.server import Server
from tests.support.stripe import Stripe
from tests.support.waiting import eventually

__all__ = ["CHECKOUT", "PASSWORD", "Site", "site_on"]

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = CHECKOUT / "examples" / "django"
#: Of all sample people.
PASSWORD = "payments"
#: For one command, and for a process to end.
PATIENCE_SECONDS = 60
#: So that a test need not wait long for a payment that is locked.
LOCK_TIMEOUT = "300ms"


class Site:
    """One copy of the example in ``directory``, which a test may change, on a database of its own."""

    def __init__(self, server: Server, name: str, directory: Path, **environment: str) -> None:
        self.server = server
        self.name = name
        self.directory = directory / "django"
        shutil.copytree(EXAMPLE, self.directory, ignore=shutil.ignore_patterns("__pycache__"))
        self.port, self.relay_port, self._ops_port = free_port(), free_port(), free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.relay_base = f"http://127.0.0.1:{self.relay_port}"
        self.relay_url = f"ws://127.0.0.1:{self.relay_port}/ws/payment-monitoring/"
        owner = server.dsn(name, "django")
        self._environment = _example_environment(self.directory) | {
            "DJANGO_DEBUG": "0",
            "DATABASE_URL": f"{owner}?options={quote(f'-c lock_timeout={LOCK_TIMEOUT}')}",
            "RELAY_URL": self.relay_url,
            "RELAY_SQL_DIRECTORY": str(CHECKOUT / "sql"),
            "RELAY_CONFIG": str(self.directory / "relay.toml"),
            "RELAY_DATABASE__DSN": server.dsn(name, "relay_daemon"),
            "RELAY_DATABASE__ADMIN_DSN": owner,
            "RELAY_SERVER__PORT": str(self.relay_port),
            "RELAY_SERVER__OPS_PORT": str(self._ops_port),
            "RELAY_SERVER__ORIGINS": f'["{self.base}", "{self.relay_base}"]',
            "RELAY_SERVER__HEARTBEAT_SECONDS": "0.2",
            "RELAY_SERVER__DRAIN_SECONDS": "2",
            **environment,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._known: tuple[str, Settings] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What the processes are started with."""
        return self._environment

    @property
    def stripe(self) -> Stripe:
        """Stripe, which knows the endpoint's secret."""
        return Stripe(self.base, self._environment["STRIPE_WEBHOOK_SECRET"])

    def database(self) -> Database:
        """The database, to be closed by whoever asked."""
        return Database(self.server, self.name)

    def browser(self, email: str | None = None) -> Browser:
        """A new browser, in which this person has signed in."""
        browser = Browser(self.base)
        return browser.sign_in(email, PASSWORD) if email else browser

    def manage(self, *argv: str) -> str:
        """What ``manage.py`` prints with these arguments."""
        done = self._run(self.directory, "manage.py", *argv)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def relay(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """``relay`` with these arguments, run to its end."""
        return self._run(CHECKOUT, "-m", "relay", *argv)

    def _run(self, where: Path, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command],
            cwd=where, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip

    async def start(self) -> None:
        """Start the web server and the relay; returns when both answer."""
        publish(self.relay_port, self._settings)
        self._launch("relay", CHECKOUT, "-m", "relay", "serve")
        self.launch_backend()
        await eventually(self._relay_is_ready)
        await eventually(self.backend_answers)

    def _settings(self) -> Settings:
        text = (self.directory / "relay.toml").read_text()
        if self._known is None or self._known[0] != text:
            self._known = text, load(self.directory / "relay.toml", self._environment)
        return self._known[1]

    def launch_backend(self) -> None:
        """Start the web server; it answers a little later."""
        address = ("--host", "127.0.0.1", "--port", str(self.port))
        self._launch(
            "backend",
            self.directory,
            "-m",
            "uvicorn",
            "backend.asgi:application",
            *address,
            "--no-access-log",
        )

    def _launch(self, name: str, where: Path, *command: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, *command],
                cwd=where, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def backend_answers(self) -> bool:
        """Whether the web server can be connected to."""
        self._is_alive("backend")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def _relay_is_ready(self) -> bool:
        self._is_alive("relay")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with (
            contextlib.suppress(OSError),
            opener.open(f"http://127.0.0.1:{self._ops_port}/readyz", timeout=PATIENCE_SECONDS) as answer,
        ):
            return bool(answer.status == 200)
        return False

    def _is_alive(self, name: str) -> None:
        # No AssertionError, which eventually() would take for "not yet".
        if self._processes[name].poll() is not None:
            raise RuntimeError(f"{name} ended: {self.log(name)}")

    def log(self, name: str) -> str:
        """What ``backend`` or ``relay`` has said so far."""
        return (self.directory / f"{name}.log").read_text()

    def reload_relay(self) -> None:
        """Tell the relay to read its config again."""
        self._processes["relay"].send_signal(signal.SIGHUP)

    def stop(self, name: str) -> int:
        """End one process; its exit code."""
        process = self._processes.pop(name)
        process.terminate()
        try:
            return process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def stop_everything(self) -> None:
        """End what still runs."""
        forget(self.relay_port)
        for name in list(self._processes):
            self.stop(name)


@contextlib.contextmanager
def site_on(server: Server, directory: Path, **environment: str) -> Iterator[Site]:
    """A site whose database has the roles of roles.sql and nothing else. Afterwards nothing of it is left."""
    name = asyncio.run(_prepare(server))
    try:
        site = Site(server, name, directory, **environment)
        try:
            yield site
        finally:
            site.stop_everything()
    finally:
        asyncio.run(_remove(server, name))


async def _prepare(server: Server) -> str:
    """A database that belongs to the role ``django``, which is no superuser; its name."""
    database = await create_database(server)
    # Another test may have made one of the roles: they belong to the server, which all tests share.
    for statement in (EXAMPLE / "roles.sql").read_text().split(";"):
        with contextlib.suppress(psycopg.errors.DuplicateObject):
            await database.execute(statement)
    for role in ("django", "relay_daemon"):
        password = psycopg.sql.Literal(server.password).as_string()
        await database.execute(f"ALTER ROLE {role} PASSWORD {password}")
    await database.execute(f"ALTER DATABASE {database.name} OWNER TO django")
    await database.close()
    return database.name


async def _remove(server: Server, name: str) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as admin:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        with contextlib.suppress(psycopg.errors.DependentObjectsStillExist):  # another site still needs it
            await admin.execute("DROP ROLE django")


def _example_environment(directory: Path) -> dict[str, str]:
    """This process's environment with environment.example over it, read by a shell as its users do."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("RELAY_", "DJANGO_", "PG"))}
    done = subprocess.run(
        ["sh", "-c", "set -a; . ./environment.example; env -0"],
        cwd=directory, env=ours, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
