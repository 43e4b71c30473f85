"""Requests below ``/api/`` before and around the stream: tokens, limits, parameters, other sites, and how polls end."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from relay.gateway import poll as poll_module
from relay.gateway.websocket import WebSocket
from relay.messages.frames import Checkpoint, Withheld
from tests.support.gateway import Room, make_settings, make_token, opened, status
from tests.support.gateway_fakes import FakeSubscriptions
from tests.support.polling import Answer, get, requested
from tests.support.waiting import eventually

EVENTS = "/api/events?channels=transactions"
SINCE = EVENTS + "&since=c0"


def url(room: Room, path: str = EVENTS) -> str:
    """An address of this gateway."""
    return f"http://127.0.0.1:{room.port}{path}"


async def waiting(room: Room, group: asyncio.TaskGroup, token: str | None = None) -> asyncio.Task[Answer]:
    """A poll that waits by now."""
    before = len(room.gateway.connections)
    task = group.create_task(get(url(room, SINCE), token or make_token()))
    await eventually(lambda: len(room.gateway.connections) > before)
    return task


def gone(room: Room) -> bool:
    """Whether nothing is left of any poll."""
    return not room.gateway.connections and not room.hub.subscribers and room.services.limits.taken == 0


def last(answer: Answer) -> tuple[int, str, str]:
    """Status, and type and code of the last message."""
    frame = answer.body["messages"][-1]
    return answer.status, frame["type"], frame["code"]


# Who asks


async def test_the_token_comes_in_the_header_alone() -> None:
    """A token in the query, or as a subprotocol, is no token here."""
    async with opened() as room:
        token = make_token()
        for path, headers in (
            (f"{EVENTS}&token={token}", {}),
            (EVENTS, {"Sec-WebSocket-Protocol": f"relay.v1, bearer.{token}"}),
            (EVENTS, {"Authorization": f"Basic {token}"}),
        ):
            answer = await get(url(room, path), headers=headers)
            assert (answer.status, answer.body["code"]) == (401, "token_missing")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert gone(room)


@pytest.mark.parametrize("path", [EVENTS, "/api/snapshot?channel=transactions", "/api/schema"])
@pytest.mark.parametrize(
    ("token", "refusal", "code"),
    [
        ("rubbish", 401, "token_invalid"),
        (make_token(lives=-5), 401, "token_expired"),
        (make_token(channels=[]), 403, "forbidden"),
    ],
    ids=["rubbish", "expired", "no policy"],
)
async def test_a_token_that_is_no_good_is_a_status(path: str, token: str, refusal: int, code: str) -> None:
    """Also a page gets the status: it can read this one, unlike that of a handshake."""
    async with opened() as room:
        host = {"Origin": f"http://127.0.0.1:{room.port}"}
        answer = await get(url(room, path), token, headers=host)
        assert (answer.status, answer.body["code"]) == (refusal, code)
        assert answer.headers["cache-control"] == "no-store"
        assert gone(room)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/api/events", "channels"),
        ("/api/events?channels=", "channels"),
        ("/api/events?channels=a,,b", "channels"),
        ("/api/events?channels=" + "x" * 65, "channels"),
        (EVENTS + "&filters={", "filters"),
        (EVENTS + "&filters=[]", "filters"),
        (EVENTS + "&views=1", "views"),
        (EVENTS + "&views=%7B%22a%22%3A1%7D", "views"),
        (EVENTS + "&filters=" + "%5B" * 900, "filters"),
        (EVENTS + "&snapshot=501", "snapshot"),
        (EVENTS + "&snapshot=-1", "snapshot"),
        (EVENTS + "&snapshot=1.5", "snapshot"),
        (EVENTS + "&snapshot=%D9%A3", "snapshot"),
        (EVENTS + "&wait=26", "wait"),
        (EVENTS + "&wait=nan", "wait"),
        (EVENTS + "&wait=-1", "wait"),
        (EVENTS + "&since=a&since=b", "since"),
        (EVENTS + "&since=%FF", "query"),
        ("/api/snapshot", "channel"),
        ("/api/snapshot?channel=a&rows=0", "rows"),
        ("/api/snapshot?channel=a&rows=501", "rows"),
        ("/api/snapshot?channel=a&filter=x", "filter"),
    ],
)
async def test_a_wrong_parameter_is_named(path: str, names: str) -> None:
    """What cannot be read is a 400 that names the parameter and repeats nothing of it."""
    async with opened() as room:
        answer = await get(url(room, path), make_token())
        assert (answer.status, answer.body["code"]) == (400, "bad_request")
        assert names in answer.body["message"].split()
        assert gone(room)


@pytest.mark.parametrize(
    ("request_line", "refusal", "code"),
    [
        ("POST /api/events", 405, "method_not_allowed"),
        ("HEAD /api/schema", 405, "method_not_allowed"),
        ("GET /api/", 404, "not_found"),
        ("GET /api/else", 404, "not_found"),
        ("OPTIONS /api/else", 404, "not_found"),
    ],
)
async def test_other_methods_and_paths_are_refused(request_line: str, refusal: int, code: str) -> None:
    """Below ``/api/`` there are three paths, and GET."""
    method, path = request_line.split()
    async with opened() as room, requested(url(room, path), make_token(), method=method) as (reader, _):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert int(head.split()[1]) == refusal
        assert method == "HEAD" or json.loads(body)["code"] == code
        assert refusal != 405 or b"\r\nAllow: GET, OPTIONS\r\n" in head


# Other sites


async def test_a_site_on_the_list_may_read() -> None:
    """Answers and refusals alike are for the pages of allowed sites, and for no others; proxies are told."""
    site = "https://app.example.org"
    async with opened(make_settings(server={"origins": [site]})) as room:
        for token, expected in ((make_token(), 200), ("rubbish", 401)):
            answer = await get(url(room, "/api/schema"), token, headers={"Origin": site})
            assert answer.status == expected
            assert answer.headers["access-control-allow-origin"] == site
            assert answer.headers["access-control-expose-headers"] == "Retry-After"
            assert answer.headers["vary"] == "Origin"
            assert "access-control-allow-credentials" not in answer.headers
        for other in ("https://evil.example", "null", f"http://127.0.0.1:{room.port}"):
            for method in ("GET", "OPTIONS"):
                answer = await get(url(room), make_token(), method=method, headers={"Origin": other})
                assert (answer.status, answer.body["code"]) == (403, "origin_refused")
                assert "access-control-allow-origin" not in answer.headers
        assert (await get(url(room, "/api/schema"), make_token())).headers["vary"] == "Origin"


async def test_a_browser_may_ask_whether_it_may_send_the_token() -> None:
    """A preflight needs no token, costs no seat, and allows the one header that brings it."""
    async with opened(make_settings(limits={"polls_per_minute_per_address": 1})) as room:
        own = f"http://127.0.0.1:{room.port}"
        asks = {
            "Origin": own,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        }
        for _ in range(3):
            answer = await get(url(room), method="OPTIONS", headers=asks)
            assert (answer.status, answer.text) == (204, b"")
            assert answer.headers["access-control-allow-origin"] == own
            assert answer.headers["access-control-allow-methods"] == "GET, OPTIONS"
            assert answer.headers["access-control-allow-headers"] == "Authorization"
            assert "access-control-allow-credentials" not in answer.headers


# Limits


async def test_a_person_has_only_so_many_polls_waiting() -> None:
    """One poll more than allowed is refused with a pause; when one ends there is room again. Nobody else notices."""
    async with opened(make_settings(limits={"polls_per_subject": 2})) as room, asyncio.TaskGroup() as group:
        polls = [await waiting(room, group) for _ in range(2)]
        refused = await get(url(room, SINCE), make_token())
        assert (refused.status, refused.body["code"]) == (429, "too_many_connections")
        assert int(refused.headers["retry-after"]) >= 1
        polls.append(await waiting(room, group, make_token("bob")))
        async with room.client() as socket:  # of the same person: a connection is no poll
            assert json.loads(await socket.recv())["type"] == "welcome"
        room.hub.publish(Withheld(channel="transactions", id="7").encode(), checkpoint("c7"))
        for poll in polls:
            assert (await poll).body["cursor"] == "c7"
        await eventually(lambda: gone(room))
        polls.append(await waiting(room, group))
        room.hub.publish(Withheld(channel="transactions", id="8").encode(), checkpoint("c8"))


def checkpoint(cursor: str) -> bytes:
    """A checkpoint of some moment."""
    return Checkpoint(cursor=cursor, as_of="2026-03-01T12:00:00Z").encode()  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", ["polls_per_minute_per_subject", "polls_per_minute_per_address"])
async def test_polls_have_a_rate(limit: str) -> None:
    """Past the rate of a person or an address requests are refused with the pause that helps."""
    async with opened(make_settings(limits={limit: 2})) as room:
        for _ in range(2):
            assert (await get(url(room, "/api/schema"), make_token())).status == 200
        refused = await get(url(room, "/api/schema"), make_token())
        assert (refused.status, refused.body["code"]) == (429, "connecting_too_often")
        assert 1 <= int(refused.headers["retry-after"]) <= 30


async def test_a_full_relay_is_full_for_polls() -> None:
    """Polls take their seats among all others."""
    async with opened(make_settings(limits={"connections": 1})) as room, asyncio.TaskGroup() as group:
        poll = await waiting(room, group)
        refused = await get(url(room, SINCE), make_token())
        assert (refused.status, refused.body["code"]) == (503, "server_full")
        assert "retry-after" in refused.headers
        room.hub.publish(Withheld(channel="transactions", id="7").encode(), checkpoint("c7"))
        await poll


# How a poll ends


async def test_a_client_that_hangs_up_is_forgotten_at_once() -> None:
    """Its seat, its subscriptions and its place among the polls of its person are free as soon as it is gone."""
    async with opened(make_settings(limits={"polls_per_subject": 1})) as room:
        for _ in range(3):
            async with requested(url(room, SINCE), make_token()):
                await eventually(lambda: len(room.gateway.connections) == 1)
                (poll,) = room.gateway.connections
                assert room.services.limits.taken == 1
            await eventually(lambda: gone(room))
            assert poll.ended


async def test_an_expired_token_ends_a_poll() -> None:
    """At the end of its token a poll that waits is answered with the error; the next one gets the status."""
    async with opened() as room:
        token = make_token(lives=1.0)
        answer = await get(url(room, SINCE), token)
        assert last(answer) == (200, "error", "token_expired")
        assert answer.body["cursor"] == "c0"
        assert (await get(url(room, SINCE), token)).status == 401
        assert gone(room)


async def test_a_revocation_ends_a_poll() -> None:
    """Whoever is revoked is told within the poll that waits; the next one is refused with 403."""
    async with opened() as room, asyncio.TaskGroup() as group:
        token = make_token()
        poll = await waiting(room, group, token)
        room.services.policies.withdrawn = frozenset({"transactions"})
        room.gateway.revoked()
        assert last(await poll) == (200, "error", "forbidden")
        assert (await get(url(room, SINCE), token)).status == 403


async def test_a_drain_ends_polls() -> None:
    """Who waits is told goodbye with a pause, in an answer that arrives whole; who comes is refused with 503."""
    async with opened() as room, asyncio.TaskGroup() as group:
        polls = [await waiting(room, group) for _ in range(5)]
        verify = room.services.authenticator.verify
        asked, go = asyncio.Event(), asyncio.Event()

        async def slowly(token: str) -> Any:
            asked.set()
            await go.wait()
            return await verify(token)

        room.services.authenticator.verify = slowly  # type: ignore[method-assign]
        late = group.create_task(get(url(room, SINCE), make_token()))
        await asked.wait()
        async with asyncio.timeout(room.services.settings.server.drain_seconds):
            draining = group.create_task(room.gateway.drain())
            answers = [await poll for poll in polls]
            go.set()
            await draining
        assert [last(answer) for answer in answers] == [(200, "goodbye", "restart")] * 5
        assert all(answer.body["messages"][-1]["retry_after_ms"] > 0 for answer in answers)
        assert ((await late).status, (await late).body["code"]) == (503, "restart")
        assert "retry-after" in (await late).headers


async def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A subscribe that the database does not come round to is answered before proxies lose their patience."""
    monkeypatch.setattr(poll_module, "PATIENCE", 0.1)
    async with opened() as room, asyncio.TaskGroup() as group:
        room.gateway._subscribing = stuck
        poll = group.create_task(get(url(room), make_token()))
        assert last(await poll) == (200, "goodbye", "overloaded")


def stuck(peer: Any, services: Any) -> Any:
    """Subscriptions that never come to an end."""
    made = FakeSubscriptions(peer, services)
    made.working = True
    return made


async def test_degraded_capture_is_said_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll that begins while capture is degraded is told so, and does not wait long: the news may be old or new."""
    monkeypatch.setattr(poll_module, "SOON", 0.1)
    async with opened() as room:
        room.gateway.capture_status(status(False, "table x is not captured"))
        poll = asyncio.ensure_future(get(url(room, SINCE), make_token()))
        await eventually(lambda: room.hub.subscribers)
        room.hub.publish(checkpoint("c1"))
        answer = await poll
        (told,) = answer.of("capture_status")
        assert told["status"] == "degraded"
        assert "table x" not in told["reason"]


async def test_heartbeats_do_not_pile_up() -> None:
    """Of checkpoints in a row a poll keeps the last: they say the same, and it says it better."""
    async with opened() as room, asyncio.TaskGroup() as group:
        poll = await waiting(room, group)
        for number in range(50):
            room.hub.publish(checkpoint(f"c{number}"))
        room.hub.publish(Withheld(channel="transactions", id="7").encode(), checkpoint("c50"))
        answer = await poll
        assert [frame["cursor"] for frame in answer.of("checkpoint")] == ["c49", "c50"]
        assert answer.body["cursor"] == "c50"


async def test_a_slow_reader_gets_the_end_of_its_answer() -> None:
    """An answer of megabytes arrives whole at a client that takes its time for it."""
    event = Withheld(channel="transactions", id="7" * 1000).encode()
    settings = make_settings(limits={"buffer_bytes": 1 << 24})
    async with opened(settings) as room:
        # Narrow at both ends, so that the end of the answer is still in the relay when the rest has gone.
        room.gateway._servers[0].sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        narrow.connect(("127.0.0.1", room.port))
        reader, writer = await asyncio.open_connection(sock=narrow, limit=4096)
        writer.write(
            f"GET {SINCE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {make_token()}\r\n\r\n".encode()
        )
        await eventually(lambda: room.hub.subscribers)
        room.hub.publish(*[event] * 1000, checkpoint("c1"))
        await eventually(lambda: not room.hub.subscribers)
        raw = b""
        while part := await reader.read(4096):
            raw += part
            await asyncio.sleep(0.002)
        writer.close()
        body = json.loads(raw.partition(b"\r\n\r\n")[2])
        assert len(body["messages"]) == 1000 + 4
        assert body["cursor"] == "c1"


async def test_who_does_not_read_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer has its time; a client that does not take it, or does not hang up after it, is let go then."""
    monkeypatch.setattr(WebSocket, "answer_seconds", 0.2)
    event = Withheld(channel="transactions", id="7" * 1000).encode()
    async with opened(make_settings(limits={"buffer_bytes": 1 << 24})) as room:
        for messages in ([event] * 10_000, [event]):
            async with requested(url(room, SINCE), make_token()) as (reader, _):
                await eventually(lambda: room.hub.subscribers)
                reader._transport.pause_reading()  # type: ignore[attr-defined]
                room.hub.publish(*messages, checkpoint("c1"))
                await eventually(lambda: not room.hub.subscribers)
                await eventually(lambda: not room.gateway._public.sockets)
