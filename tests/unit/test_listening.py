"""Open files are asked for as far as the system gives them, and who may not have enough is told."""

from __future__ import annotations

import resource
from typing import cast

import pytest
import structlog

from relay.errors import ConfigError
from relay.gateway.address import Address
from relay.gateway.listening import OTHER_FILES, allow_files, listen


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limits that were set, on a system with 1,024 files and at most 4,096."""
    made: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: made.append(limits))
    return made


@pytest.mark.parametrize(
    ("connections", "limits", "warned"),
    [
        (100, [], False),
        (2000, [(2000 + OTHER_FILES, 4096)], False),
        (10_000, [(4096, 4096)], True),
    ],
)
def test_the_limit_follows_the_connections(
    asked: list[tuple[int, int]], connections: int, limits: list[tuple[int, int]], warned: bool
) -> None:
    """The soft limit is raised when it is needed, up to the hard one; if that is not enough a log line says
    so."""
    with structlog.testing.capture_logs() as logs:
        allow_files(connections)
    assert asked == limits
    assert bool(logs) is warned
    assert all("ulimit" in line["remedy"] for line in logs)


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
async def test_an_address_of_nobody_is_the_hosts_fault(host: str) -> None:
    """Where the address cannot be listened on, the line names the setting that holds it, and not the port's."""
    with pytest.raises(ConfigError, match=rf"^server\.ops_host: .*{host}"):
        await listen("server.ops_port", host, 0, address=cast(Address, None))
