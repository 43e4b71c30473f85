"""A network between client and server that can be cut, frozen and mended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

__all__ = ["TcpProxy"]


class TcpProxy:
    """Forwards a local port to ``host:port``, as an async context manager.

    ``cut`` ends every connection and refuses new ones until ``restore``; ``freeze`` keeps connections open
    and passes no byte until ``thaw``, as a network does that swallows packets.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.accepted = 0
        self._target = (host, port)
        self._listening: socket.socket | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._handlers: dict[asyncio.Task[None], socket.socket] = {}

    @classmethod
    def before(cls, url: str) -> Self:
        """A proxy in front of the host and port that a URL names."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        return cls(parts.hostname, parts.port)

    def through(self, url: str) -> str:
        """The same URL, but through this proxy."""
        parts = urlsplit(url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self.port}"))

    async def __aenter__(self) -> Self:
        await self.restore()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()

    async def cut(self) -> None:
        """End every connection at once and refuse new ones."""
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None
        handlers = dict(self._handlers)
        for handler, near in handlers.items():
            # Closing it resets the connection, as a network does that goes away, instead of ending it in good order.
            with contextlib.suppress(OSError):  # closed meanwhile
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        for near in handlers.values():
            # A handler that was cancelled before its first step has closed nothing.
            near.close()

    async def restore(self) -> None:
        """Accept connections (again), on the same port as before."""
        if self._listening is None:
            listening = socket.create_server(("127.0.0.1", self.port))
            listening.setblocking(False)
            self._listening, self.port = listening, listening.getsockname()[1]
            # asyncio.start_server loses a connection that is accepted in the moment of its close (Python 3.11): it is
            # neither served nor ended, and its client waits for ever.
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def freeze(self) -> None:
        """Pass no more bytes, in either direction."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Pass bytes again, also those that came while frozen."""
        self._flowing.set()

    def _accept(self, listening: socket.socket) -> None:
        try:
            near, _ = listening.accept()
        except OSError:
            return  # gone before it was accepted
        near.setblocking(False)
        self.accepted += 1
        handler = asyncio.get_running_loop().create_task(self._serve(near))
        self._handlers[handler] = near
        handler.add_done_callback(lambda done: self._handlers.pop(done, None))

    async def _serve(self, near: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=near)
        try:
            with contextlib.suppress(OSError):
                await self._forward(reader, writer)
        finally:
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, far_writer))
                pumps.create_task(self._pump(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
