"""A client of ``/api/`` for tests: it may leave at any moment, and remembers what the last answer left it with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from relay import jsontext
from tests.support import published
from tests.support.client import Frame, documented

__all__ = ["Answer", "Poller", "get", "query", "requested"]


class Answer:
    """One HTTP answer, its body read as JSON if there is one."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.text = body
        self.body: Any = jsontext.decode(body) if body else None

    def of(self, *types: str) -> list[Frame]:
        """The messages of one of ``types``, in order."""
        return [frame for frame in self.body["messages"] if frame["type"] in types]

    @property
    def types(self) -> list[str]:
        """The types of all messages, in order."""
        return [frame["type"] for frame in self.body["messages"]]


def query(**parameters: Any) -> str:
    """A query string: texts as they are, lists with commas, objects as JSON; None is left out."""
    texts = {}
    for name, value in parameters.items():
        if isinstance(value, list):
            value = ",".join(value)
        elif isinstance(value, dict):
            value = jsontext.encode(value).decode()
        if value is not None:
            texts[name] = value
    return urlencode(texts)


@contextlib.asynccontextmanager
async def requested(
    url: str, token: str | None = None, *, method: str = "GET", headers: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """The two ends of a request that has been sent; on leaving the client hangs up."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    fields = {"Host": parts.netloc, **(headers or {})}
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    try:
        writer.write(f"{method} {parts.path}?{parts.query} HTTP/1.1\r\n{head}\r\n".encode())
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def get(url: str, token: str | None = None, *, within: float = 40.0, **options: Any) -> Answer:
    """The whole answer to one request. Raises ConnectionError if there is none."""
    async with requested(url, token, **options) as (reader, _), asyncio.timeout(within):
        raw = await reader.read()
    if not raw:
        raise ConnectionError("no answer")
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert len(body) == int(fields.get("content-length", 0)), "the answer was cut off"
    return Answer(int(first.split(" ")[1]), fields, body)


class Poller:
    """Polls ``http``/api/events for ``channels`` as a client does: with the cursor and the views of the last answer.

    ``frames`` are all messages of all answers, ``last`` the latest answer.
    """

    def __init__(self, http: str, token: str, channels: list[str], **parameters: Any) -> None:
        self.token = token
        self.cursor: str | None = None
        self.views: dict[str, str] = {}
        self.frames: list[Frame] = []
        self.last: Answer | None = None
        self._http = http
        self._parameters = {"channels": channels, **parameters}

    @property
    def url(self) -> str:
        """What it asks next."""
        return f"{self._http}/api/events?" + query(
            **{"since": self.cursor, "views": self.views or None, **self._parameters}
        )

    async def poll(self, *, within: float = 40.0, **parameters: Any) -> Answer:
        """One poll that must be answered with 200; ``parameters`` hold from now on."""
        self._parameters |= parameters
        answer = self.last = await get(self.url, self.token, within=within)
        assert answer.status == 200, answer.text
        self.cursor = answer.body["cursor"]
        for frame in answer.body["messages"]:
            documented(frame)
            published.check(urlsplit(self._http).port or 0, "/api/events", frame)
            self.frames.append(frame)
            if frame["type"] == "subscribed":
                self.views |= {name: each["view"] for name, each in frame["channels"].items()}
        return answer

    def of(self, *types: str) -> list[Frame]:
        """Every message so far of one of ``types``."""
        return [frame for frame in self.frames if frame["type"] in types]
