"""Plain HTTP on both addresses: pages, health, readiness, metrics, and requests that make no sense."""

from __future__ import annotations

import asyncio
import json

import pytest

from relay.errors import ConfigError
from relay.gateway.websocket import WebSocket
from relay.resources import web_directory
from tests.support.gateway import PATH, ask, free_port, make_settings, make_token, opened, status


async def test_health_is_always_ok() -> None:
    """/healthz answers as long as the process does, degraded or not, and says nothing more."""
    async with opened() as room:
        room.gateway.capture_status(status(False, reason="connection refused"))
        code, headers, body = await ask(room.port, "GET /healthz")
        assert (code, json.loads(body)) == (200, {"status": "ok"})
        assert headers["content-type"] == "application/json"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


async def test_head_is_get_without_body() -> None:
    """HEAD answers with the header of GET."""
    async with opened() as room:
        status, headers, body = await ask(room.port, "HEAD /")
        assert (status, body) == (200, b"")
        assert int(headers["content-length"]) > 100


async def test_the_dashboard_is_served() -> None:
    """The page and its files come with types, ETags and a policy; what is known already is not sent again."""
    async with opened() as room:
        status, headers, body = await ask(room.port, "GET /")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"<title>Payments, live</title>" in body
        assert f"ws://127.0.0.1:{room.port}" in headers["content-security-policy"]
        status, headers, _ = await ask(room.port, "GET /dashboard/app.js?x=1")
        assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
        again = f"If-None-Match: {headers['etag']}\r\n"
        status, _, body = await ask(room.port, "GET /dashboard/app.js", headers=again)
        assert (status, body) == (304, b"")


@pytest.mark.parametrize(
    ("request_line", "headers", "status", "code"),
    [
        ("GET /nowhere", "", 404, "not_found"),
        ("GET /client/../../errors.py", "", 404, "not_found"),
        ("GET /client/%2e%2e/%2e%2e/errors.py", "", 404, "not_found"),
        ("GET http://elsewhere/", "", 400, "bad_request"),
        ("POST /healthz", "", 405, "method_not_allowed"),
        ("DELETE /", "Content-Length: 0\r\n", 405, "method_not_allowed"),
        ("POST /", "Content-Length: 5\r\n", 400, "bad_request"),
        ("GET /", "Transfer-Encoding: chunked\r\n", 400, "bad_request"),
        ("GET", "", 400, "bad_request"),
        ("GET /\xe4", "", 400, "bad_request"),
        ("GET /", "no colon\r\n", 400, "bad_request"),
        (f"GET /{'x' * 9000}", "", 414, "uri_too_long"),
        ("GET /", f"X: {'x' * 9000}\r\n", 431, "headers_too_large"),
        ("GET /", "X: y\r\n" * 200, 431, "headers_too_large"),
        (f"GET {PATH}", "", 426, "upgrade_required"),
        (f"POST {PATH}", "", 405, "method_not_allowed"),
        (f"GET {PATH}", "Connection: Upgrade\r\nUpgrade: websocket\r\n", 400, "bad_request"),
        (f"GET {PATH}", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n", 426,
         "upgrade_required"),
    ],
)  # fmt: skip
async def test_a_request_that_makes_no_sense_is_refused_in_json(
    request_line: str, headers: str, status: int, code: str
) -> None:
    """Whatever is wrong with a request, the answer is a status and the JSON of the table of codes."""
    async with opened() as room:
        answered, fields, body = await ask(room.port, request_line, headers=headers)
        assert (answered, json.loads(body)["code"]) == (status, code)
        assert fields["content-type"] == "application/json"
        assert fields["connection"] == "close"
        if status == 426:
            assert (fields["upgrade"], fields["sec-websocket-version"]) == ("websocket", "13")
        if status == 405:
            assert "GET" in fields["allow"]


async def test_a_request_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends its request byte by byte is cut off when the time for the head is over."""
    monkeypatch.setattr(WebSocket, "head_seconds", 0.1)
    async with opened() as room:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)
        writer.close()


async def test_a_slow_decision_is_not_the_clients_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for the request head is over once it is read: deciding may take longer."""
    monkeypatch.setattr(WebSocket, "head_seconds", 0.2)
    async with opened() as room:
        verify = room.services.authenticator.verify
        waited = asyncio.Event()

        async def slowly(token: str) -> object:
            asyncio.get_running_loop().call_later(0.4, waited.set)
            await waited.wait()
            return await verify(token)

        room.services.authenticator.verify = slowly  # type: ignore[method-assign,assignment]
        async with room.client() as ws:
            assert json.loads(await ws.recv())["type"] == "welcome"


async def test_readiness_follows_the_capture_side() -> None:
    """/readyz is 503 with the reason while capture is degraded; it lives on the operations address alone."""
    port = free_port()
    async with opened(make_settings(server={"ops_port": port})) as room:
        code, _, body = await ask(port, "GET /readyz")
        assert (code, json.loads(body)) == (200, {"status": "ready"})
        room.gateway.capture_status(status(False, reason="connection refused"))
        code, _, body = await ask(port, "GET /readyz")
        assert (code, json.loads(body)) == (
            503,
            {"status": "unready", "reason": "capture degraded: connection refused"},
        )
        room.gateway.capture_status(status(True))
        assert (await ask(port, "GET /readyz"))[0] == 200
        room.services.capture.trouble = "password authentication failed"
        code, _, body = await ask(port, "GET /readyz")
        assert (code, json.loads(body)["reason"]) == (
            503,
            "no new session for snapshots and replays: password authentication failed",
        )
        room.services.capture.trouble = ""
        assert (await ask(port, "GET /healthz"))[0] == 200
        for path in ("/readyz", "/metrics"):
            assert (await ask(room.port, f"GET {path}"))[0] == 404


async def test_metrics_are_for_operators() -> None:
    """/metrics shows connections and refusals in the Prometheus text format."""
    port = free_port()
    async with opened(make_settings(server={"ops_port": port})) as room, room.client() as ws:
        await ws.recv()
        await ask(room.port, f"GET {PATH}?token=rubbish", headers="")
        status, headers, body = await ask(port, "GET /metrics")
        assert status == 200
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        assert b"\nrelay_connections 1.0\n" in body
        assert b"\nrelay_subscriptions 1.0\n" in body
        assert b'relay_refused_total{code="upgrade_required"}' in body
        assert (await ask(port, "POST /metrics"))[0] == 405
        assert (await ask(port, "GET /else"))[0] == 404
        assert (await ask(port, "HEAD /metrics"))[2] == b""


async def test_a_port_in_use_is_named() -> None:
    """A port that somebody has is a configuration error of one line with the port in it."""
    async with opened() as room:
        for section in ({"port": room.port}, {"ops_port": room.port}):
            with pytest.raises(ConfigError, match=f"{room.port} on 127.0.0.1 is in use"):
                async with opened(make_settings(server=section)):
                    pass


async def test_a_host_that_is_not_ours_is_named() -> None:
    """An address of another machine, or none at all, is a configuration error that names it."""
    for host in ("192.0.2.1", "no.such.host.invalid"):
        with pytest.raises(ConfigError, match=host):
            async with opened(make_settings(server={"host": host})):
                pass


async def test_the_token_of_a_page_is_nobodys_business() -> None:
    """A token in the query of a page is no carrier: it is neither asked for nor looked at."""
    async with opened() as room:
        assert (await ask(room.port, f"GET /?token={make_token()}"))[0] == 200
        assert (await ask(room.port, "GET /?token=rubbish"))[0] == 200


async def test_the_client_is_served_to_every_site() -> None:
    """Each module of the JavaScript client comes as one, types and manifest as what they are, for pages anywhere."""
    types = {
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".ts": "text/plain; charset=utf-8",
    }
    client = web_directory() / "client"
    files = [each for each in client.rglob("*") if each.suffix in types]
    assert any(each.name == "index.js" for each in files)
    async with opened() as room:
        for file in files:
            path = f"/client/{file.relative_to(client).as_posix()}"
            answered, headers, body = await ask(
                room.port, f"GET {path}", headers="Origin: https://else.example\r\n"
            )
            assert (answered, body) == (200, file.read_bytes())
            assert headers["content-type"] == types[file.suffix]
            assert headers["access-control-allow-origin"] == "*"
