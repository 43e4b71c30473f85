"""A WebSocket client for tests that remembers everything it was sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from relay import jsontext
from relay.messages.codes import CODES, RESYNC_REASONS, UNSUBSCRIBED_REASONS
from tests.support import published

__all__ = ["Client", "Frame", "connected", "documented"]

Frame = dict[str, Any]


class Client:
    """One connection. ``frames`` are all messages so far, in order; ``take`` waits for the next that fits."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []
        self._taken = 0

    async def send(self, type: str, **fields: Any) -> None:
        """One message to the relay."""
        await self.socket.send(jsontext.encode({"type": type, **fields}).decode())

    async def read(self) -> Frame:
        """The next message from the socket. Raises ConnectionClosed."""
        frame: Frame = jsontext.decode(await self.socket.recv())
        self.frames.append(frame)
        documented(frame)
        assert self.socket.request is not None
        published.check(self.socket.remote_address[1], self.socket.request.path, frame)
        return frame

    async def take(
        self, *types: str, where: Callable[[Frame], bool] = lambda _: True, within: float = 20.0
    ) -> Frame:
        """The next message, after the one taken last, whose type is one of ``types`` and for which ``where`` holds.

        What is passed over stays in ``frames``. Raises TimeoutError, whose text says what came instead.
        """
        start = self._taken
        try:
            async with asyncio.timeout(within):
                while True:
                    while self._taken < len(self.frames):
                        frame = self.frames[self._taken]
                        self._taken += 1
                        if (not types or frame["type"] in types) and where(frame):
                            return frame
                    await self.read()
        except TimeoutError:
            came = [frame["type"] for frame in self.frames[start:]]
            raise TimeoutError(
                f"no {' or '.join(types) or 'message'} within {within} s, only {came}"
            ) from None

    async def closed(self, within: float = 20.0) -> int:
        """Read until the relay has closed the connection; the close code."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(within):
                while True:
                    await self.read()
        code = self.socket.close_code
        assert code is not None
        return code

    def of(self, *types: str) -> list[Frame]:
        """Every message so far of one of ``types``."""
        return [frame for frame in self.frames if frame["type"] in types]


def documented(frame: Frame) -> None:
    """Every word that clients are given for a reason is in the one table, and so in docs/protocol.md."""
    words: Mapping[str, Collection[str]] = {"resync": RESYNC_REASONS, "unsubscribed": UNSUBSCRIBED_REASONS}
    if (known := words.get(frame["type"])) is not None:
        assert frame["reason"] in known, frame["reason"]
    if frame["type"] in ("error", "goodbye"):
        assert frame["code"] in CODES, frame["code"]


@contextlib.asynccontextmanager
async def connected(url: str, token: str | None = None, **options: Any) -> AsyncIterator[Client]:
    """A connected client that brings its token in the Authorization header."""
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    options.setdefault("additional_headers", headers)
    async with connect(url, max_size=None, compression=None, **options) as socket:
        yield Client(socket)
