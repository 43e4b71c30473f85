"""`relay demo`, run as its users run it."""

import asyncio
import json
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from websockets.asyncio.client import connect

from tests.support.published import Published
from tests.support.relay import settings_for
from tests.support.waiting import eventually


@asynccontextmanager
async def demo(temporary: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running demo that keeps its files in ``temporary``; ended by force if the test did not end it."""
    # An environment that would lead elsewhere if the demo read it.
    environment = {
        "TMPDIR": str(temporary),
        "PATH": "/usr/bin:/bin",
        "RELAY_DATABASE__DSN": "host=nowhere.invalid",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relay", "demo", *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A directory for the demo's files that the server's account can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def family(process: asyncio.subprocess.Process) -> list[psutil.Process]:
    """Every process that the demo has started."""
    return psutil.Process(process.pid).children(recursive=True)


async def test_one_line_tells_a_program_all_it_needs(temporary: Path) -> None:
    """`--json` prints one line when all is ready; a client sees payments with it; SIGINT leaves nothing."""
    async with demo(temporary, "--json") as process:
        assert process.stdout is not None
        line = json.loads(await process.stdout.readline())
        assert set(line) == {"http", "ws", "token", "dsn"}
        children = family(process)
        assert children

        headers = {"Authorization": f"Bearer {line['token']}"}
        async with connect(line["ws"], additional_headers=headers, proxy=None) as socket:
            published = Published(settings_for("dbname=unused"))
            async with asyncio.timeout(60):
                message: dict[str, Any] = json.loads(await socket.recv())
                everything = {"type": "subscribe", "channels": message["channels"], "snapshot": 100}
                await socket.send(json.dumps(everything))
                while message["type"] != "transaction_update":
                    published.check(message)
                    message = json.loads(await socket.recv())
            published.check(message)
        assert re.fullmatch(r"\d+\.\d\d", message["data"]["transaction"]["amount"])
        async with await psycopg.AsyncConnection.connect(line["dsn"]) as connection:
            cursor = await connection.execute("SELECT count(*) FROM finances_purchasetransaction")
            assert (await cursor.fetchone() or (0,))[0] >= 600

        process.send_signal(signal.SIGINT)
        rest, errors = await process.communicate()
        assert (rest, errors, process.returncode) == (b"", b"", 0)
        await eventually(lambda: not any(child.is_running() for child in children))
        assert list(temporary.iterdir()) == []


async def test_a_terminal_shows_tokens_and_the_live_stream(temporary: Path) -> None:
    """Without --json a person sees addresses, a token per role and the payments; SIGTERM ends it."""
    async with demo(temporary, "--rate", "50") as process:
        assert process.stdout is not None
        text = ""
        async with asyncio.timeout(60):
            while not re.search(r"transactions +#\d+ +\S+ → succeeded", text):
                line = await process.stdout.readline()
                assert line, f"the demo ended: {text}"
                text += line.decode()
        assert re.search(r"dashboard +http://127.0.0.1:\d+/#token=eyJ", text)
        assert text.count("token of ") == 2
        process.send_signal(signal.SIGTERM)
        rest, errors = await process.communicate()
        assert process.returncode == 0
        assert errors == b""
        assert rest.decode().rstrip().endswith("stopped; no process and no directory is left")
        assert list(temporary.iterdir()) == []


async def test_a_killed_demo_leaves_nothing_either(temporary: Path) -> None:
    """SIGKILL gives the demo no chance to clean up; its guard does."""
    async with demo(temporary, "--json") as process:
        assert process.stdout is not None
        await process.stdout.readline()
        children = family(process)
        process.kill()
        await process.wait()
        await eventually(
            lambda: not any(child.is_running() for child in children) and not list(temporary.iterdir())
        )
