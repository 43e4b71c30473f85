"""Who is let in: every way to bring a token, every refusal, before and after the upgrade."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.support.gateway import PATH, Room, ask, make_settings, make_token, opened, read_all
from tests.support.waiting import eventually

UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


async def refused(room: Room, **options: Any) -> tuple[int, dict[str, Any], Any]:
    """Status, body and headers with which a handshake is refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with room.client(**options):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body), response.headers


async def welcomed(client: connect) -> dict[str, Any]:
    """The welcome of a client."""
    async with client as ws:
        message: dict[str, Any] = json.loads(await ws.recv())
        assert message["type"] == "welcome"
        return message | {"subprotocol": ws.subprotocol}


async def test_every_carrier_brings_a_token() -> None:
    """A token is taken from the Authorization header, the subprotocol, the query or the first message."""
    async with opened() as room:
        token = make_token("ada")
        bearer = [Subprotocol("relay.v1"), Subprotocol(f"bearer.{token}")]
        assert (await welcomed(room.client(token=token)))["subject"] == "ada"
        assert (await welcomed(room.client(token=None, query=f"?token={token}")))["subject"] == "ada"
        by_protocol = await welcomed(room.client(token=None, subprotocols=bearer))
        assert (by_protocol["subject"], by_protocol["subprotocol"]) == ("ada", "relay.v1")
        async with room.client(token=None) as ws:
            await ws.send(json.dumps({"type": "auth", "token": token, "id": 1}))
            assert json.loads(await ws.recv())["subject"] == "ada"


async def test_the_first_carrier_found_wins() -> None:
    """The header goes before the subprotocol, and that before the query; a bad one found first is refused."""
    async with opened() as room:
        query = f"?token={make_token('query')}"
        protocols = [Subprotocol("relay.v1"), Subprotocol(f"bearer.{make_token('protocol')}")]
        first = await welcomed(room.client(token=make_token("header"), query=query, subprotocols=protocols))
        second = await welcomed(room.client(token=None, query=query, subprotocols=protocols))
        assert (first["subject"], second["subject"]) == ("header", "protocol")
        status, body, _ = await refused(room, token="rubbish", query=query)
        assert (status, body["code"]) == (401, "token_invalid")


async def test_the_answer_never_repeats_the_token() -> None:
    """``relay.v1`` is answered where it was offered; without it, the connection has no subprotocol."""
    async with opened() as room:
        only_token = [Subprotocol(f"bearer.{make_token()}")]
        protocols = ",".join(only_token)
        status, headers, _ = await _upgrade_head(room, f"Sec-WebSocket-Protocol: {protocols}\r\n")
        assert status == 101
        assert "sec-websocket-protocol" not in headers
        status, headers, _ = await _upgrade_head(room, f"Sec-WebSocket-Protocol: relay.v1, {protocols}\r\n")
        assert (status, headers["sec-websocket-protocol"]) == (101, "relay.v1")


async def _upgrade_head(room: Room, headers: str) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{room.port}\r\n{UPGRADE}{headers}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.transport.abort()
    first, *lines = head.strip().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split(" ")[1]), fields, b""


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("rubbish", "token_invalid"),
        ("expired", "token_expired"),
        ("forged", "token_invalid"),
        ("", "token_invalid"),
    ],
)
async def test_without_origin_a_bad_token_is_refused_by_http(token: str, code: str) -> None:
    """A client that is no browser gets 401 with a JSON body that says why, at once and every time."""
    made = {"expired": make_token(lives=-5), "forged": make_token(secret="x" * 40)}.get(token, token)
    async with opened() as room:
        for _ in range(2):
            status, body, headers = await refused(
                room, token=None, headers={"Authorization": f"Bearer {made}"}
            )
            assert (status, body["type"], body["code"]) == (401, "error", code)
            assert headers["WWW-Authenticate"] == "Bearer"


async def test_a_browser_is_told_why_until_patience_ends() -> None:
    """A bad token with an Origin is accepted, told and closed 4001, a few times a minute; then it is 401."""
    settings = make_settings(limits={"bad_tokens_per_minute_per_address": 2})
    async with opened(settings) as room:
        origin = Origin(f"http://127.0.0.1:{room.port}")
        for _ in range(2):
            async with room.client(token=make_token(lives=-5), origin=origin) as ws:
                messages, close = await read_all(ws)
            assert ([m["code"] for m in messages], close) == (["token_expired"], 4001)
            assert messages[0]["retryable"] is True
        status, body, headers = await refused(room, token=make_token(lives=-5), origin=origin)
        assert (status, body["code"]) == (401, "token_expired")
        assert int(headers["Retry-After"]) > 0
        assert (await welcomed(room.client(origin=origin)))["subject"] == "ada"


async def test_no_policy_no_connection() -> None:
    """A token to which no policy grants anything is refused: 403, or for a browser 4003 after the upgrade."""
    nothing = make_token(channels=[])
    async with opened() as room:
        status, body, _ = await refused(room, token=nothing)
        assert (status, body["code"]) == (403, "forbidden")
        async with room.client(token=nothing, origin=Origin(f"http://127.0.0.1:{room.port}")) as ws:
            messages, close = await read_all(ws)
        assert ([m["code"] for m in messages], close) == (["forbidden"], 4003)
        async with room.client(token=None) as ws:
            await ws.send(json.dumps({"type": "auth", "token": nothing}))
            messages, close = await read_all(ws)
        assert ([m["code"] for m in messages], close) == (["forbidden"], 4003)


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_foreign_origin_is_refused(origin: str) -> None:
    """A page of somebody else, or of nobody, is refused with 403 however good its token."""
    async with opened() as room:
        status, body, _ = await refused(room, origin=Origin(origin))
        assert (status, body["code"]) == (403, "origin_refused")


async def test_listed_origins_may_come() -> None:
    """With a list of origins those on it may come and no other."""
    async with opened(make_settings(server={"origins": ["https://app.example"]})) as room:
        assert (await welcomed(room.client(origin=Origin("https://app.example"))))["type"] == "welcome"
        status, _, _ = await refused(room, origin=Origin("https://evil.example"))
        assert status == 403


@pytest.mark.parametrize(
    ("first", "code", "close"),
    [
        ({"type": "subscribe", "channels": ["transactions"]}, "token_missing", 4001),
        ({"type": "ping"}, "token_missing", 4001),
        ({"type": "unheard of"}, "token_missing", 4001),
        ({"type": "auth", "token": "rubbish"}, "token_invalid", 4001),
        ({"type": "auth"}, "token_missing", 4001),
    ],
)
async def test_without_token_there_is_no_frame(first: dict[str, Any], code: str, close: int) -> None:
    """The first message of a client without token must be a good ``auth``; anything else ends it."""
    async with opened() as room, room.client(token=None) as ws:
        await ws.send(json.dumps(first))
        messages, closed = await read_all(ws)
        assert ([m["code"] for m in messages], closed) == ([code], close)
        assert room.hub.subscribers == []


async def test_a_token_that_does_not_come_is_not_waited_for() -> None:
    """A client that sends nothing is told so and closed 4001 after the configured time."""
    async with (
        opened(make_settings(server={"first_message_seconds": 0.05})) as room,
        room.client(token=None) as ws,
    ):
        messages, close = await read_all(ws)
        assert ([m["code"] for m in messages], close) == (["token_missing"], 4001)


async def test_one_subject_has_so_many_connections() -> None:
    """The connections of one subject are limited before the upgrade; a seat given back is free again."""
    async with opened(make_settings(limits={"connections_per_subject": 2})) as room:
        async with room.client(), room.client():
            status, body, headers = await refused(room)
            assert (status, body["code"]) == (429, "too_many_connections")
            assert int(headers["Retry-After"]) >= 1
            await welcomed(room.client(token=make_token("bob")))
            async with room.client(token=None) as late:
                await late.send(json.dumps({"type": "auth", "token": make_token()}))
                messages, close = await read_all(late)
            assert (messages[0]["code"], close) == ("too_many_connections", 4029)
        await eventually(lambda: room.services.limits.taken == 0)
        await welcomed(room.client())


async def test_a_loop_of_connections_is_slowed_down() -> None:
    """Connects above the rate of their subject, or of their address, are refused with 429 before the
    upgrade."""
    async with opened(make_settings(limits={"connects_per_minute_per_subject": 2})) as room:
        await welcomed(room.client())
        await welcomed(room.client())
        status, body, _ = await refused(room)
        assert (status, body["code"]) == (429, "connecting_too_often")
        await welcomed(room.client(token=make_token("bob")))
    async with opened(make_settings(limits={"connects_per_minute_per_address": 1})) as room:
        await welcomed(room.client())
        status, body, _ = await refused(room, token=make_token("bob"))
        assert (status, body["code"]) == (429, "connecting_too_often")


async def test_a_proxy_is_believed_if_it_is_trusted() -> None:
    """Behind a trusted proxy limits are per forwarded address; without trust the header changes nothing."""
    limits = {"connects_per_minute_per_address": 1}
    proxied = make_settings(limits=limits, server={"trusted_proxies": ["127.0.0.0/8"]})
    async with opened(proxied) as room:
        for number in range(3):
            await welcomed(room.client(headers={"X-Forwarded-For": f"198.51.100.{number}"}))
    async with opened(make_settings(limits=limits)) as room:
        await welcomed(room.client(headers={"X-Forwarded-For": "198.51.100.1"}))
        status, _, _ = await refused(room, headers={"X-Forwarded-For": "198.51.100.2"})
        assert status == 429


async def test_a_full_relay_says_so() -> None:
    """When every seat is taken newcomers get 503 with a pause."""
    async with opened(make_settings(limits={"connections": 1})) as room, room.client():
        status, body, headers = await refused(room, token=make_token("bob"))
        assert (status, body["code"]) == (503, "server_full")
        assert int(headers["Retry-After"]) >= 1


async def test_refused_clients_hold_no_seat() -> None:
    """However a handshake ends, its seat comes back."""
    async with opened(make_settings(limits={"connections": 3})) as room:
        for _ in range(4):
            await refused(room, token="rubbish")
            status, _, _ = await ask(room.port, f"GET {PATH}", headers=UPGRADE.replace("dGhl", "x"))
            assert status == 400
            await _upgrade_head(room, "")
            await eventually(lambda: room.services.limits.taken == 0)


async def test_other_paths_may_be_configured() -> None:
    """WebSocket is spoken at configured paths too, with or without the slash at the end, and nowhere else."""
    async with opened(make_settings(server={"paths": ["/live/"]})) as room:
        for path in ("/live/", "/live", PATH):
            url = f"ws://127.0.0.1:{room.port}{path}"
            await welcomed(connect(url, additional_headers={"Authorization": f"Bearer {make_token()}"}))
        for path in ("/", "/ws/", "/live/more", "/healthz"):
            status, _, body = await ask(room.port, f"GET {path}", headers=UPGRADE)
            assert (status, json.loads(body)["code"]) == (404, "not_found")
