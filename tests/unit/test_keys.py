"""A key set is fetched rarely, by one at a time, and kept while its source is down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from relay.gateway.keys import FRESH, MOST_BYTES, PAUSE, KeySetSource, fetch_json


class Source:
    """A fetch that hands out what a test put in."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.document: dict[str, Any] | Exception = {"keys": ["a"]}
        self.gate: asyncio.Event | None = None
        self.keys: KeySetSource[list[str]] = KeySetSource(
            "https://id.example/keys",
            lambda document: list(document["keys"]),
            fetch=self.fetch,
            clock=lambda: self.now,
        )

    async def fetch(self, _: str) -> dict[str, Any]:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


async def test_a_new_key_is_found_after_the_pause() -> None:
    """An unknown key fetches the set again, at most once per pause."""
    source = Source()
    assert await source.keys.keys(lambda keys: "a" in keys) == ["a"]
    source.document = {"keys": ["a", "b"]}
    assert await source.keys.keys(lambda keys: "b" in keys) == ["a"]
    source.now += PAUSE
    assert await source.keys.keys(lambda keys: "b" in keys) == ["a", "b"]
    assert source.asked == 2


async def test_many_who_wait_make_one_fetch() -> None:
    """Tokens that arrive together share one fetch."""
    source = Source()
    source.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(source.keys.keys(lambda keys: "a" in keys)) for _ in range(10)]
    await asyncio.sleep(0)
    source.gate.set()
    assert await asyncio.gather(*waiting) == [["a"]] * 10
    assert source.asked == 1


@pytest.mark.parametrize("trouble", [OSError("refused"), ValueError("no JSON")])
async def test_a_source_that_is_down_changes_nothing(trouble: Exception) -> None:
    """When the set cannot be renewed, the old one goes on serving."""
    source = Source()
    await source.keys.keys(lambda keys: "a" in keys)
    source.now += FRESH
    source.document = trouble
    assert await source.keys.keys(lambda keys: "a" in keys) == ["a"]
    assert source.asked == 2


async def test_withdrawn_keys_go() -> None:
    """A set is renewed after a while even if it serves every token."""
    source = Source()
    await source.keys.keys(lambda keys: "a" in keys)
    source.document = {"keys": ["b"]}
    source.now += FRESH
    assert await source.keys.keys(lambda keys: "a" in keys) == ["b"]


async def test_nothing_was_ever_fetched() -> None:
    """Without any successful fetch there are no keys."""
    source = Source()
    source.document = OSError("refused")
    assert await source.keys.keys(lambda _: True) is None


class Answer(BaseHTTPRequestHandler):
    """Serves the path as the body."""

    def do_GET(self) -> None:
        body = {"/object": b'{"keys": []}', "/list": b"[]", "/text": b"hello"}.get(
            self.path, b"x" * (MOST_BYTES + 1)
        )
        self.send_response(404 if self.path == "/gone" else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[str]:
    """The address of a small web server."""
    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_fetching_reads_a_json_object(web: str) -> None:
    """The document is fetched over HTTP and must be one JSON object of bounded size."""
    assert await fetch_json(f"{web}/object") == {"keys": []}
    for path in ("list", "text", "huge"):
        with pytest.raises(ValueError, match=r"\bis\b|malformed|truncated"):
            await fetch_json(f"{web}/{path}")
    with pytest.raises(OSError, match="404"):
        await fetch_json(f"{web}/gone")
