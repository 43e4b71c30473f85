"""Another relay beside examples/django, on the same database: with TLS, on its own host, and to be stopped at will."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

from tests.support.certificates import make_certificate
from tests.support.chaos.relays import free_port
from tests.support.django_site import CHECKOUT, Site
from tests.support.waiting import eventually

__all__ = ["SecondRelay"]

#: For it to end, or to answer.
PATIENCE_SECONDS = 30


class SecondRelay:
    """One process at a time. It takes tokens to the second, and waits one second for those that come late."""

    def __init__(self, site: Site, directory: Path) -> None:
        self.port, self._ops_port = free_port(), free_port()
        self.base = f"https://127.0.0.1:{self.port}"
        self.url = f"wss://127.0.0.1:{self.port}/ws/payment-monitoring/"
        certificate, key = make_certificate(directory, "127.0.0.1")
        self._log = directory / "second-relay.log"
        self._environment = {
            **site.environment,
            "RELAY_SERVER__PORT": str(self.port),
            "RELAY_SERVER__OPS_PORT": str(self._ops_port),
            "RELAY_SERVER__ORIGINS": "[]",
            "RELAY_SERVER__TLS_CERTIFICATE": str(certificate),
            "RELAY_SERVER__TLS_KEY": str(key),
            "RELAY_SERVER__FIRST_MESSAGE_SECONDS": "1",
            "RELAY_AUTH__LEEWAY_SECONDS": "0",
            "RELAY_LIMITS__BAD_TOKENS_PER_MINUTE_PER_ADDRESS": "30",
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, **environment: str) -> None:
        """Start it; returns when it serves."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "relay", "serve"],
                cwd=CHECKOUT, env=self._environment | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        await eventually(self._is_ready)

    def _is_ready(self) -> bool:
        assert self._process is not None
        # No AssertionError, which eventually() would take for "not yet".
        if self._process.poll() is not None:
            raise RuntimeError(f"the relay ended: {self._log.read_text()}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with (
            contextlib.suppress(OSError),
            opener.open(f"http://127.0.0.1:{self._ops_port}/readyz", timeout=PATIENCE_SECONDS) as answer,
        ):
            return bool(answer.status == 200)
        return False

    async def stop(self) -> None:
        """Drain it, as before a deployment."""
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextlib.asynccontextmanager
    async def running(self, **environment: str) -> AsyncIterator[Self]:
        """Started with these settings besides, and stopped at the end."""
        try:
            await self.start(**environment)
            yield self
        finally:
            await self.stop()
