"""`relay tail` against a server that follows a script: what it prints, how it comes back, when it gives up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from relay import cli
from tests.support.commands import isolate, one_line

Session = Sequence[dict[str, Any]]


def _change(id: str, **row: Any) -> dict[str, Any]:
    return {
        "type": "row_change",
        "channel": "orders",
        "id": id,
        "timestamp": "2026-01-02T03:04:05Z",
        "data": {"action": "created", "row": {"id": id, **row}},
    }


def _subscribed(view: str = "v1") -> dict[str, Any]:
    return {"type": "subscribed", "channels": {"orders": {"view": view, "resumed": True}}}


def _checkpoint(cursor: str) -> dict[str, Any]:
    return {"type": "checkpoint", "cursor": cursor, "as_of": "2026-01-02T03:04:05Z"}


class Script:
    """What the server says on each connection in turn, and what it heard."""

    def __init__(self, sessions: Sequence[Session], close: int) -> None:
        self.sessions = list(sessions)
        self.close = close
        self.heard: list[dict[str, Any]] = []
        self.tokens: list[str] = []

    async def handle(self, connection: ServerConnection) -> None:
        """One connection: hear the subscribe, say the lines, close."""
        assert connection.request is not None
        self.tokens.append(connection.request.headers["Authorization"])
        self.heard.append(json.loads(await connection.recv()))
        for message in self.sessions.pop(0):
            await connection.send(json.dumps(message))
        await connection.close(self.close, "script over")


@asynccontextmanager
async def _server(
    *sessions: Session, close: int = 1012, status: int | None = None
) -> AsyncIterator[tuple[Script, str]]:
    script = Script(sessions, close)

    def refuse(connection: ServerConnection, _: Request) -> Response | None:
        if status is None:
            return None
        return connection.respond(HTTPStatus(status), '{"code": "forbidden", "message": "no policy"}')

    async with serve(script.handle, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield script, f"ws://127.0.0.1:{port}/ws/"


Tail = Callable[..., Any]


@pytest.fixture
def tail(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tail:
    """Runs ``relay tail orders`` against an address; gives exit code, output and errors."""
    isolate(tmp_path, monkeypatch)
    monkeypatch.setattr("relay.commands.tailing.FIRST_PAUSE", 0.01)

    async def run(url: str, *argv: str) -> tuple[int, str, str]:
        line = ["tail", "orders", "--url", url, "--token", "opaque", *argv]
        code = await asyncio.to_thread(cli.main, line)
        out, err = capsys.readouterr()
        return code, out, err

    return run


async def test_changes_are_lines(tail: Tail) -> None:
    """Each change is one line with time, channel, action and fields; the token travels in the header."""
    async with _server([_subscribed(), _change("1", note="two words")]) as (script, url):
        code, out, _ = await tail(url, "--count", "1")
    assert code == 0
    assert out == '03:04:05 orders         created id=1 note="two words"\n'
    assert script.tokens == ["Bearer opaque"]
    assert script.heard == [
        {"type": "subscribe", "channels": ["orders"], "filters": {}, "snapshot": 0, "views": {}}
    ]


async def test_options_become_the_subscription(tail: Tail) -> None:
    """--filter and --snapshot are what the wire protocol calls by these names."""
    async with _server([_subscribed(), _change("1")]) as (script, url):
        await tail(url, "--count", "1", "--filter", '{"status": "failed"}', "--snapshot", "20")
    assert script.heard[0]["filters"] == {"orders": {"status": "failed"}}
    assert script.heard[0]["snapshot"] == 20


async def test_a_cut_is_resumed_and_repeats_nothing(tail: Tail) -> None:
    """After a cut it brings cursor and views; what comes a second time is not printed a second time."""
    async with _server(
        [_subscribed("v1"), _change("1"), _checkpoint("c1"), _change("2")],
        [_subscribed("v1"), _change("2"), _change("3")],
    ) as (script, url):
        code, out, err = await tail(url, "--count", "3")
    assert code == 0
    assert [line.split()[3] for line in out.splitlines() if "id=" in line] == ["id=1", "id=2", "id=3"]
    assert "connected again" in out
    assert script.heard[1]["since"] == "c1"
    assert script.heard[1]["views"] == {"orders": "v1"}
    assert err.startswith('go on from here with: --since \'["c1",')


async def test_the_printed_bookmark_resumes_a_later_run(tail: Tail) -> None:
    """What one run prints at its end is what --since of the next one takes."""
    async with _server([_subscribed("v7"), _checkpoint("c9"), _change("1")]) as (_, url):
        _, _, err = await tail(url, "--count", "1")
    bookmark = err.partition("'")[2].partition("'")[0]
    async with _server([_subscribed("v7"), _change("2")]) as (script, url):
        await tail(url, "--count", "1", "--since", bookmark)
    assert script.heard[0]["since"] == "c9"
    assert script.heard[0]["views"] == {"orders": "v7"}


async def test_json_prints_messages_as_they_come(tail: Tail) -> None:
    """--json is one message a line, all of them."""
    messages = [_subscribed(), _checkpoint("c1"), _change("1")]
    async with _server(messages) as (_, url):
        _, out, _ = await tail(url, "--count", "1", "--json")
    assert [json.loads(line) for line in out.splitlines()] == messages


async def test_trouble_is_told(tail: Tail) -> None:
    """A resync, a withheld row and a degraded database are lines, not silence."""
    messages = [
        _subscribed(),
        {"type": "resync", "channels": ["orders"], "reason": "pruned"},
        {"type": "snapshot", "channel": "orders", "rows": [{"id": "7", "note": None}], "truncated": False},
        {"type": "withheld", "channel": "orders", "id": "8"},
        {"type": "capture_status", "status": "degraded", "since": "2026-01-02T03:04:05Z", "reason": "lost"},
        {"type": "goodbye", "code": "restart", "reason": "the relay restarts", "retry_after_ms": 1},
        _change("9"),
    ]
    async with _server(messages) as (_, url):
        _, out, _ = await tail(url, "--count", "1")
    for text in (
        "resync orders: pruned",
        "id=7 note=null",
        "event 8 is withheld",
        "may be incomplete since 2026-01-02",
        "restarts",
    ):
        assert text in out


async def test_it_gives_up_where_coming_back_is_no_use(tail: Tail) -> None:
    """A token or policy refusal, before or after the upgrade, and a refused subscription end it with exit code 1."""
    async with _server(status=403) as (_, url):
        code, _, err = await tail(url)
        assert (code, one_line(err)) == (1, "relay: the relay refused with HTTP 403: no policy\n")
    error = {"type": "error", "code": "unknown_channel", "message": "channel orders: no", "retryable": False}
    async with _server([error]) as (_, url):
        code, _, err = await tail(url)
        assert code == 1
        assert "unknown_channel: channel orders: no" in one_line(err)
    async with _server([], close=4001) as (_, url):
        code, _, err = await tail(url)
        assert code == 1
        assert "closed with 4001" in one_line(err)


async def test_it_does_not_come_back_faster_and_faster(tail: Tail, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of the pause grows with each cut, and starts anew once a subscription was complete."""
    limits: list[float] = []

    def draw(_: float, limit: float) -> float:
        limits.append(limit)
        return 0.0

    monkeypatch.setattr("relay.commands.tailing.random.uniform", draw)
    whole = [_subscribed(), _checkpoint("c1")]
    async with _server([], [], whole, [_subscribed(), _change("1")]) as (_, url):
        code, _, _ = await tail(url, "--count", "1")
    assert code == 0
    assert limits == [0.01, 0.02, 0.01]


async def test_it_comes_back_when_it_was_told_to(tail: Tail, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause that a goodbye asks for is kept as it is, once; chance decides only where nothing was asked for."""
    drawn: list[float] = []

    def draw(_: float, limit: float) -> float:
        drawn.append(limit)
        return 0.0

    monkeypatch.setattr("relay.commands.tailing.random.uniform", draw)
    goodbye = {"type": "goodbye", "code": "restart", "reason": "the relay restarts", "retry_after_ms": 1}
    async with _server([_subscribed(), goodbye], [_subscribed()], [_subscribed(), _change("1")]) as (_, url):
        assert (await tail(url, "--count", "1"))[0] == 0
    assert len(drawn) == 1


async def test_one_event_in_two_channels_is_two_lines(tail: Tail) -> None:
    """Channels that show the same table give an event the same id; neither hides the other's."""
    other = {**_change("1"), "channel": "refunds"}
    async with _server([_subscribed(), _change("1"), other, _change("1")]) as (_, url):
        code, out, _ = await tail(url, "--count", "2")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()] == ["orders", "refunds"]


def _unsubscribed(reason: str) -> dict[str, Any]:
    return {"type": "unsubscribed", "channels": ["orders"], "reason": reason}


async def test_a_subscription_that_failed_is_made_again(tail: Tail) -> None:
    """Where a snapshot could not be taken the stream would be silent for ever; tail says so and subscribes anew."""
    error = {"type": "error", "code": "snapshot_failed", "message": "not now", "retryable": True}
    failed = [_subscribed(), _checkpoint("c1"), error, _unsubscribed("snapshot_failed")]
    async with _server(failed, [_subscribed(), _change("1")]) as (script, url):
        code, out, _ = await tail(url, "--count", "1")
    assert code == 0
    assert "unsubscribed orders: snapshot_failed" in out
    assert script.heard[1]["since"] == "c1"


async def test_a_channel_that_was_taken_away_ends_it(tail: Tail) -> None:
    """When the last channel is not granted any more there is nothing to wait for: exit code 1."""
    async with _server([_subscribed(), _unsubscribed("not_granted")]) as (_, url):
        code, _, err = await tail(url)
    assert code == 1
    assert "not_granted" in one_line(err)
