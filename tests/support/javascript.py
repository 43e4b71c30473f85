"""The JavaScript client, in a Node process of its own that a test tells what to do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.waiting import eventually

__all__ = ["CLIENT", "SCRIPTS", "JavaScript", "Said", "javascript", "node", "run_node"]

CHECKOUT = Path(__file__).parents[2]
#: The client as it is delivered, and the scripts that test it beside the packages they need.
CLIENT = CHECKOUT / "relay" / "web" / "client"
SCRIPTS = CHECKOUT / "tests" / "client"

Said = dict[str, Any]


def node() -> str:
    """The Node program. Fails with the remedy where it, or what the tests need of npm, is missing."""
    program = shutil.which("node")
    assert program is not None, "node is missing: apt-get install nodejs npm"
    assert (SCRIPTS / "node_modules").is_dir(), "packages of npm are missing: make test installs them"
    return program


async def run_node(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a program of Node or npm to its end and return what it prints; it has to succeed."""
    process = await asyncio.create_subprocess_exec(
        node(),
        *arguments,
        cwd=SCRIPTS,
        env=None if environment is None else dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = printed.decode()
    assert process.returncode == 0, text
    return text


class JavaScript:
    """One program that uses the client. ``said`` is everything it was given so far, in order."""

    def __init__(self, process: asyncio.subprocess.Process, tokens: Callable[[], str | None]) -> None:
        self.said: list[Said] = []
        self.tokens = tokens
        self._process = process

    def do(self, what: str, **fields: Any) -> None:
        """Give it an order, see tests/client/driver.mjs."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **fields}).encode() + b"\n")

    def of(self, *what: str, **fields: Any) -> list[Said]:
        """What it said of one of these kinds, with these fields."""
        return [
            said
            for said in self.said
            if said["say"] in what and all(said.get(name) == value for name, value in fields.items())
        ]

    def ids(self, name: str) -> list[str]:
        """The events that the subscription ``name`` was given, in order."""
        return [event["id"] for event in self.of("event", name=name)]

    @property
    def status(self) -> Said:
        """The status it was told last."""
        return (self.of("status") or [{"state": None}])[-1]

    async def becomes(self, *states: str, within: float = 20) -> Said:
        """Wait until its connection is in one of ``states``."""

        def there() -> bool:
            assert self.status["state"] in states, self.tail()
            return True

        await eventually(there, within=within)
        return self.status

    async def says(self, what: str, *, count: int = 1, within: float = 20, **fields: Any) -> Said:
        """Wait until it has said something ``count`` times; the last of them."""

        def enough() -> bool:
            assert len(self.of(what, **fields)) >= count, self.tail()
            return True

        await eventually(enough, within=within)
        return self.of(what, **fields)[count - 1]

    async def read(self, name: str) -> Said:
        """What a live list or live numbers show now."""
        count = len(self.of("read"))
        self.do("read", name=name)
        return await self.says("read", count=count + 1)

    def tail(self) -> str:
        """The last things it said, for whoever has to find out what went wrong."""
        return "\n".join(json.dumps(said)[:300] for said in self.said[-25:])

    async def listen(self) -> None:
        """Read what it says until it ends; a token is asked for and given at once."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            self.said.append(said)
            if said["say"] == "token":
                self.do("token", token=self.tokens())


@contextlib.asynccontextmanager
async def javascript(
    url: str,
    tokens: Callable[[], str | None],
    *,
    network: str = "open",
    client: Path | None = None,
    **options: Any,
) -> AsyncIterator[JavaScript]:
    """A program whose client connects to ``url``. ``tokens`` is what its token callback answers, each time anew.

    ``network`` is "blocked" where WebSocket cannot be opened, and "dropped" where it is cut right after. ``client`` is
    a bundle to use instead of the client as delivered, and ``options`` are those of the client.
    """
    process = await asyncio.create_subprocess_exec(
        node(),
        SCRIPTS / "driver.mjs",
        env=dict(os.environ)
        if client is None
        else {**os.environ, "CLIENT": str(client), "CLIENT_LIST": str(client)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    program = JavaScript(process, tokens)
    listening = asyncio.ensure_future(program.listen())
    try:
        program.do("network", **{"is": network})
        program.do("connect", options={"url": url, **options})
        yield program
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await listening
