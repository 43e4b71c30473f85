"""The gateway's own life with clients on it: drain, reload, revocation, and what is logged of all that."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from relay.config import LimitSettings
from relay.gateway import connection as connection_module
from tests.support.gateway import (
    PATH,
    Room,
    ask,
    free_port,
    make_settings,
    make_token,
    opened,
    read_all,
    welcome,
)
from tests.support.waiting import eventually


async def test_a_drain_says_goodbye_to_all() -> None:
    """Every client, also one that has shown no token yet, is told ``restart`` with a pause and closed
    1012."""
    async with opened() as room:
        clients = [await room.client(token=make_token(f"s{n}")) for n in range(20)]
        for client in clients:
            await welcome(client)
        clients.append(await room.client(token=None))
        await eventually(lambda: room.services.limits.taken == 21)
        _, *ends = await asyncio.gather(room.gateway.drain(), *map(read_all, clients))
        pauses = set()
        for messages, close in ends:
            assert ([(m["type"], m["code"]) for m in messages], close) == ([("goodbye", "restart")], 1012)
            pauses.add(messages[0]["retry_after_ms"])
        assert len(pauses) > 10
        assert room.services.limits.taken == 0


async def test_a_draining_relay_has_given_its_port_back() -> None:
    """While clients are still being seen out, another process may already listen; /readyz says
    ``draining``."""
    ops = free_port()
    async with opened(make_settings(server={"ops_port": ops})) as room, room.client() as client:
        await welcome(client)
        port = room.port
        client.transport.pause_reading()  # does not answer the close frame
        draining = asyncio.ensure_future(room.gateway.drain())
        await eventually(lambda: room.gateway.unready() == "draining")
        status, _, body = await ask(ops, "GET /readyz")
        assert (status, json.loads(body)) == (503, {"status": "unready", "reason": "draining"})
        async with opened(make_settings(server={"port": port})) as next_room, next_room.client() as moved:
            await welcome(moved)
        client.transport.resume_reading()
        assert (await read_all(client))[1] == 1012
        await draining


async def test_a_request_under_way_is_told_of_the_drain() -> None:
    """A handshake that was being decided about when the drain began is refused with 503 and a pause."""
    async with opened() as room:
        verify = room.services.authenticator.verify
        asked, go = asyncio.Event(), asyncio.Event()

        async def slowly(token: str) -> Any:
            asked.set()
            await go.wait()
            return await verify(token)

        room.services.authenticator.verify = slowly  # type: ignore[method-assign]
        coming = asyncio.ensure_future(_status(room))
        await asked.wait()
        draining = asyncio.ensure_future(room.gateway.drain())
        await asyncio.sleep(0)
        go.set()
        assert await coming == (503, "restart", True)
        await draining


async def _status(room: Room) -> tuple[int, str, bool]:
    with pytest.raises(InvalidStatus) as caught:
        async with room.client():
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body)["code"], "Retry-After" in response.headers


async def test_a_drain_ends_whatever_clients_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that do not go are cut off when the time is up; a drain never hangs."""
    monkeypatch.setattr(connection_module, "LINGER", 60.0)
    async with opened(make_settings(server={"drain_seconds": 0.1})) as room, room.client() as client:
        await welcome(client)
        client.transport.pause_reading()
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        writer.write(b"GET / HT")
        async with asyncio.timeout(10):
            await room.gateway.drain()
        assert not room.gateway.connections
        assert await reader.read() == b""
        writer.close()


async def test_a_reload_takes_from_those_who_are_here() -> None:
    """After a reload a lost channel is unsubscribed with a reason; who has nothing left is closed 4003."""
    async with (
        opened() as room,
        room.client(token=make_token("ada", channels=["a", "b"])) as some,
        room.client(token=make_token("bob", channels=["a"])) as none,
    ):
        await welcome(some)
        await welcome(none)
        room.services.policies.withdrawn = frozenset({"a"})
        room.gateway.reloaded()
        lost = json.loads(await some.recv())
        assert lost == {"type": "unsubscribed", "channels": ["a"], "reason": "not_granted"}
        messages, close = await read_all(none)
        assert ([m["code"] for m in messages], close) == (["forbidden"], 4003)


async def test_a_reload_changes_limits_and_keeps_seats() -> None:
    """New limits count who is connected already."""
    async with opened() as room, room.client() as client:
        await welcome(client)
        room.services.settings = make_settings(limits={"connections": 1})
        room.gateway.reloaded()
        assert room.services.limits.settings == LimitSettings(connections=1)
        assert (await _status(room))[:2] == (503, "server_full")


@dataclass(frozen=True)
class Row:
    """One row of the revocation table."""

    subject: str
    at: datetime


async def test_a_revocation_ends_live_connections() -> None:
    """Who is revoked is told and closed 4003, and is not let in again with an older token; others stay."""
    async with opened() as room, room.client() as ada, room.client(token=make_token("bob")) as bob:
        await welcome(ada)
        await welcome(bob)
        old = make_token()
        room.services.authenticator.revocations.update([Row("ada", datetime.now(UTC))])
        room.gateway.revoked()
        messages, close = await read_all(ada)
        assert ([m["code"] for m in messages], close) == (["token_revoked"], 4003)
        with pytest.raises(InvalidStatus) as caught:
            async with room.client(token=old):
                pass
        assert caught.value.response.status_code == 403
        assert json.loads(caught.value.response.body)["code"] == "token_revoked"
        room.hub.publish(b'{"type":"news"}')
        assert json.loads(await bob.recv()) == {"type": "news"}


async def test_a_revocation_during_the_handshake_counts() -> None:
    """A token that was good when its signature was checked and is revoked a moment later is let in no
    more."""
    async with opened() as room:
        verify = room.services.authenticator.verify

        async def verify_then_revoke(token: str) -> Any:
            identity = await verify(token)
            room.services.authenticator.revocations.update([Row("ada", datetime.now(UTC))])
            return identity

        room.services.authenticator.verify = verify_then_revoke  # type: ignore[method-assign]
        assert (await _status(room))[:2] == (403, "token_revoked")
        assert room.hub.subscribers == []


async def test_no_log_line_ever_holds_a_token(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """With every logger at DEBUG, a token brought in any way, in good and bad requests, is in no line."""
    token = make_token()
    bearer = f"Authorization: Bearer {token}\r\n"
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    with caplog.at_level(logging.DEBUG):
        async with opened() as room:
            async with room.client(token=None, query=f"?token={token}") as client:
                await welcome(client)
                await client.send(json.dumps({"type": "subscribe", "channels": ["bug"]}))
                await read_all(client)
            await ask(room.port, f"GET {PATH}?token={token}", headers=upgrade)
            await ask(room.port, f"GET {PATH}?token={token} x", headers=upgrade)
            await ask(room.port, f"GET {PATH}", headers=bearer)
            await ask(room.port, f"GET {PATH}", headers=f"{bearer}{upgrade}Sec-WebSocket-Key: x\r\n")
            async with room.client(token=None) as client:
                await client.send(json.dumps({"type": "auth", "token": f"{token}x"}))
                await read_all(client)
    output = capsys.readouterr()
    signature = token.split(".")[2]
    ours = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    for text in (output.out, output.err, *(f"{record.getMessage()} {record.exc_text}" for record in ours)):
        assert signature not in text
        assert token[:40] not in text
