"""What the README tells a backend developer to type works as it is written."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from relay.config import ServerSettings, load
from tests.support.commands import AUTH, Commands, isolate
from tests.support.database import Database
from tests.support.relay import running_relay

README = (Path(__file__).parents[2] / "README.md").read_text()


def block(language: str, marker: str) -> str:
    """The one code block in ``language`` that has ``marker`` in it, without the indentation of its list item."""
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```$", README, re.DOTALL | re.MULTILINE)
    (found,) = [each for each in blocks if marker in each]
    return re.sub(r"^   ", "", found, flags=re.MULTILINE)


@pytest.fixture
async def role(bare_database: Database) -> AsyncIterator[str]:
    """The role that the README has the DBA create, under a name that no other database of the server uses."""
    name, password = f"relay_daemon_{bare_database.name}", bare_database.server.password
    statement = block("sql", "CREATE ROLE").replace("relay_daemon", name).replace("…", password)
    await bare_database.execute(statement)
    yield name
    await bare_database.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
async def shop(bare_database: Database) -> Database:
    """A database of somebody else's, with the table that the README speaks of."""
    await bare_database.execute(
        "CREATE TABLE orders (id bigserial PRIMARY KEY, total numeric(10,2), state text, note text)"
    )
    await bare_database.execute("INSERT INTO orders (total, state) VALUES (30, 'new')")
    return bare_database


async def test_the_way_to_the_first_event(
    shop: Database,
    role: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The config, the installation, the token and the ten-line client of the README, on a table of one's own."""
    isolate(tmp_path, monkeypatch)
    monkeypatch.setenv("RELAY_AUTH__SECRETS", AUTH["RELAY_AUTH__SECRETS"])
    config = block("toml", "[channels.orders]")
    config = config.replace("postgresql://relay_daemon:…@localhost/shop", shop.server.dsn(shop.name, role))
    config = config.replace("postgresql://shop:…@localhost/shop", shop.dsn)
    (tmp_path / "config.toml").write_text(config)

    relay = Commands(capsys, tmp_path)
    code, out, err = await relay("install", "--apply")
    assert (code, err) == (0, "")
    assert "Next: relay serve" in out
    code, token, _ = await relay("token", "--claim", "is_staff=true")
    assert code == 0

    settings = load(tmp_path / "config.toml", os.environ)
    settings = settings.model_copy(update={"server": ServerSettings(port=0, ops_port=0)})
    async with running_relay(settings) as running:
        client = block("python", "websockets.sync.client")
        address = "ws://127.0.0.1:8765/ws/payment-monitoring/"
        assert address in client
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-c", client.replace(address, running.url)),
            env={**os.environ, "RELAY_TOKEN": token.strip()},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            seen = [await message(process) for _ in range(4)]
            assert [each["type"] for each in seen] == ["welcome", "subscribed", "snapshot", "checkpoint"]
            assert seen[2]["rows"] == [{"id": "1", "total": "30.00", "state": "new"}]
            await shop.execute("UPDATE orders SET state = 'paid', note = 'not listed'")
            change = await message(process)
            while change["type"] == "checkpoint":
                change = await message(process)
        finally:
            process.kill()
            await process.communicate()
    assert change["type"] == "row_change"
    assert change["data"] == {
        "action": "updated",
        "row": {"id": "1", "total": "30.00", "state": "paid"},
        "changed": ["state"],
    }


async def message(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The next message that the client prints."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, "the client has ended"
    found: dict[str, Any] = json.loads(line)
    return found
