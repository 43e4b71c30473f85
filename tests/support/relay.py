"""A whole relay inside the test's own event loop, on a test database, on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import relay.demo
from relay import daemon
from relay.config import Settings
from relay.config_preset import put_under
from relay.gateway.auth import mint
from tests.support.published import forget, publish

__all__ = ["ADMIN", "OWNER", "SECRET", "RunningRelay", "running_relay", "settings_for"]

SECRET = "a-secret-that-only-the-tests-know-0123456789"
PATH = "/ws/payment-monitoring/"

#: Claims that the demo's policies turn into everything, and into the students of one school.
ADMIN: Mapping[str, Any] = {"is_superuser": True}
OWNER: Mapping[str, Any] = {"role": "school_owner", "school_ids": [1]}


def settings_for(dsn: str, **sections: Mapping[str, Any]) -> Settings:
    """The demo's channels and policies on ``dsn``; ``sections`` are laid over them, key by key."""
    tree = tomllib.loads((Path(relay.demo.__file__).parent / "config.toml").read_text())
    put_under(tree, tree["preset"])
    tree["database"] = {"dsn": dsn}
    tree["auth"]["secrets"] = [SECRET]
    tree["server"] |= {"port": 0, "ops_port": 0, "heartbeat_seconds": 0.2, "drain_seconds": 2}
    tree["capture"] = {"safety_poll_seconds": 1, "backoff_initial_ms": 20, "backoff_max_seconds": 0.5}
    for section, values in sections.items():
        tree[section] = {**tree.get(section, {}), **values}
    return Settings.model_validate(tree)


@dataclass
class RunningRelay:
    """One relay that is up."""

    daemon: daemon.Daemon

    @property
    def settings(self) -> Settings:
        """As it was started with, or reloaded to."""
        return self.daemon.settings

    @property
    def url(self) -> str:
        """Where its WebSocket is."""
        return f"ws://127.0.0.1:{self.daemon.port}{PATH}"

    @property
    def http(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.daemon.port}"

    async def settle(self) -> None:
        """Return once everything committed before this call has been published."""
        await self.daemon.services.capture.poll_now()

    def token(self, claims: Mapping[str, Any] = ADMIN, *, subject: str = "ana", seconds: float = 600) -> str:
        """A token this relay accepts."""
        return mint(self.settings.auth, subject, seconds, claims)


@contextlib.asynccontextmanager
async def running_relay(
    settings: Settings, *, reread: Callable[[], Settings] | None = None
) -> AsyncIterator[RunningRelay]:
    """Start a relay, hand it over once it serves, and drain it at the end."""
    running = daemon.Daemon(settings, reread=reread)
    ready, stop = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        try:
            await running.run(ready=ready.set, stop=stop)
        finally:
            ready.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        await ready.wait()
        if not task.done():
            port = running.port
            publish(port, lambda: running.settings)
            try:
                yield RunningRelay(running)
            finally:
                forget(port)
                stop.set()
