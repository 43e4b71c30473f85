"""The Postgres server that the tests run against, chosen by RELAY_TEST_POSTGRES.

``embedded`` (the default) is PostgreSQL 18 from a wheel and needs nothing; a number is that major version
from Debian's packages; ``docker`` or ``docker:IMAGE`` is a container.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from relay.demo.postgres import Postgres, embedded_bindir, system_bindir

__all__ = ["Server", "private_server", "session_server"]


class Server(Protocol):
    """What tests may ask of the shared server: only how to connect to it."""

    @property
    def password(self) -> str:
        """The superuser's password; test roles get the same one."""

    def dsn(self, dbname: str = "postgres", user: str = "postgres") -> str:
        """A connection URL."""


class ContainerServer:
    """A server in a container."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self.password = self._url.password or ""

    def dsn(self, dbname: str = "postgres", user: str = "postgres") -> str:
        """A connection URL."""
        netloc = f"{user}:{self.password}@{self._url.hostname}:{self._url.port}"
        return urlunsplit(("postgresql", netloc, dbname, "", ""))


def choice() -> str:
    """The value of RELAY_TEST_POSTGRES."""
    return os.environ.get("RELAY_TEST_POSTGRES", "embedded")


def private_server(settings: Mapping[str, str] | None = None) -> Postgres:
    """A server of one's own, to crash and restart: the chosen version, or embedded for a container."""
    bindir = system_bindir(int(choice())) if choice().isdigit() else embedded_bindir()
    return Postgres.start(bindir, settings=settings)


@contextlib.contextmanager
def session_server() -> Iterator[Server]:
    """The server that all tests share."""
    if choice().startswith("docker"):
        from testcontainers.postgres import PostgresContainer  # needed nowhere else, and slow to import

        image = choice().partition(":")[2] or "postgres:18"
        with PostgresContainer(image, username="postgres", driver=None) as container:
            yield ContainerServer(container.get_connection_url())
    else:
        with private_server() as server:
            yield server
