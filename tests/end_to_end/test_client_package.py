"""The JavaScript client as a package: small, typed, and the same in Node, under React and on a phone."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from relay import __version__
from tests.support.database import Database
from tests.support.javascript import CLIENT, SCRIPTS, javascript, run_node
from tests.support.payments import pay, student
from tests.support.proxy import TcpProxy
from tests.support.relay import running_relay, settings_for

#: What the core may weigh, minified and compressed, in bytes.
CORE_BYTES = 8000


async def bundle(entry: Path, out: Path, **options: Any) -> Path:
    """One file of everything that ``entry`` imports; ``options`` are esbuild's."""
    await run_node("bundle.mjs", entry, out, json.dumps(options))
    return out


@pytest.fixture
async def native(tmp_path: Path) -> Path:
    """The client as Metro would bundle it for React Native."""
    stub = {"react-native": str(SCRIPTS / "react-native.mjs")}
    entry = SCRIPTS / "native-entry.mjs"
    return await bundle(entry, tmp_path / "native.mjs", conditions=["react-native"], alias=stub)


async def test_the_core_is_small(tmp_path: Path) -> None:
    """The core with all it imports is at most 8 kB, minified and compressed."""
    core = await bundle(CLIENT / "index.js", tmp_path / "core.js", minify=True)
    assert len(gzip.compress(core.read_bytes(), 9)) <= CORE_BYTES


async def test_the_client_does_what_it_says_with_a_relay_in_memory() -> None:
    """The suite of the client, its lists and its React hooks passes in Node."""
    suites = ("connection.test.mjs", "list.test.mjs", "meeting.test.mjs", "page.test.mjs", "react.test.mjs")
    printed = await run_node("--import", "./packages.mjs", "--test", *suites)
    assert re.search(r"^# pass [1-9]", printed, re.MULTILINE)


async def test_the_client_does_the_same_on_a_phone(native: Path, tmp_path: Path) -> None:
    """The bundle for React Native passes the same suite without a window, `URL`, or timers over a minute; sockets close
    without a code. It compiles to Hermes bytecode."""
    environment = {**os.environ, "CLIENT": str(native), "CLIENT_LIST": str(native)}
    suites = ("connection.test.mjs", "list.test.mjs", "phone.mjs")
    await run_node("--import", "./bare.mjs", "--test", *suites, environment=environment)
    text = native.read_text()
    assert "import.meta" not in text
    # A script, as apps are: top-level await would not survive this.
    script = await bundle(native, tmp_path / "native.js", format="iife", globalName="relay")
    compiled = tmp_path / "native.hbc"
    await run_node(SCRIPTS / "hermesc.mjs", "-emit-binary", "-O", "-out", compiled, script)
    assert compiled.stat().st_size > 10_000


async def test_a_phone_comes_back_without_loss(native: Path, database: Database) -> None:
    """The bundle for React Native resumes over a real network and a real relay, with its token in a header."""
    user = await student(database)
    async with (
        running_relay(settings_for(database.daemon_dsn)) as running,
        TcpProxy.before(running.url) as proxy,
        javascript(proxy.through(running.url), running.token, client=native, fallback=False) as program,
    ):
        program.do("subscribe", name="events", channel="transactions")
        await program.becomes("live")
        paid = []
        for _ in range(3):
            await proxy.cut()
            paid.append(str(await pay(database, user)))
            await proxy.restore()
            await program.says("event", count=len(paid))
        assert [event["row"]["id"] for event in program.of("event")] == paid


async def test_the_declarations_hold() -> None:
    """A page written in strict TypeScript compiles against the declarations, and wrong use does not."""
    await run_node(SCRIPTS / "node_modules" / "typescript" / "bin" / "tsc", "--project", "tsconfig.json")


async def test_every_export_of_the_package_is_a_file_with_declarations() -> None:
    """What package.json exports is there, typed, and bears the version of the relay."""
    package = json.loads((CLIENT / "package.json").read_text())
    assert package["version"] == __version__
    assert "dependencies" not in package
    for name, targets in package["exports"].items():
        if isinstance(targets, str):
            targets = {"default": targets}
        assert name.endswith(".json") or "types" in targets
        assert [path for path in targets.values() if not (CLIENT / path).is_file()] == []


def test_the_documentation_knows_every_error_and_every_file() -> None:
    """docs/client.md lists the codes that the client makes up itself, and the files it is made of."""
    document = (CLIENT.parents[2] / "docs" / "client.md").read_text()
    files = {path.name: path.read_text() for path in CLIENT.glob("*.js")}
    codes = set(re.findall(r'new RelayError\(\s*"(\w+)"', "".join(files.values())))
    assert len(codes) > 5
    assert {code for code in codes if f"| `{code}` |" not in document} == set()
    assert {name for name in files if f"`{name}`" not in document} == set()
