"""The library's connection, made to behave as the protocol of the relay demands.

What is changed, and why:

* **Deadlines.** The library's ``open_timeout`` covers reading the request, deciding about it and sending
the answer.
  Here the request head has ``HEAD_SECONDS``, the answer has ``ANSWER_SECONDS``, and deciding takes what it
  takes.
* **Reasons.** What the library refuses by itself (a malformed request, a frame against RFC 6455, a message
that is
  too big) is answered with the JSON of the table of codes: as HTTP body, or as ``error`` before the close
  frame.
* **Memory.** The request with its headers, and with them the token, is forgotten once the connection is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from relay import metrics
from relay.gateway.http import refuse
from relay.gateway.library import LOGGER
from relay.gateway.wire import text_frame
from relay.messages.codes import code_for_close
from relay.messages.frames import Error

if TYPE_CHECKING:
    from relay.gateway.admission import Admission

__all__ = ["ANSWER_SECONDS", "HEAD_SECONDS", "WebSocket"]

HEAD_SECONDS = 10.0
ANSWER_SECONDS = 30.0

_FORGOTTEN = Request("/", Headers())


class WebSocket(ServerConnection):
    """One TCP connection to the gateway, before, during and after the upgrade.

    ``admission`` is what was decided about its request. ``gone`` is called once when the connection is
    lost, also when there never was an upgrade.
    """

    head_seconds = HEAD_SECONDS
    answer_seconds = ANSWER_SECONDS

    def __init__(
        self, protocol: ServerProtocol, server: Server, *, sockets: set[WebSocket], most: int, **options: Any
    ) -> None:
        super().__init__(protocol, server, **options)
        self._sockets = sockets
        self._most = most
        # One logger for all connections, in place of an adapter with a back-reference for each.
        self.logger = self.protocol.logger = LOGGER
        self.admission: Admission | None = None
        self.gone: Callable[[], None] | None = None
        self.heard = self.loop.time()
        #: Bytes that may wait to be written before a client that floods without reading is cut off.
        self.most_waiting = 1 << 20
        self._said_why = False
        self._cut: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether a message may still be written."""
        return self.protocol.state is OPEN

    @property
    def peer(self) -> str:
        """The address at the other end of the TCP connection."""
        address = self.remote_address
        return str(address[0]) if isinstance(address, tuple) else ""

    async def handshake(
        self,
        process_request: Callable[[ServerConnection, Request], Any] | None = None,
        process_response: Callable[[ServerConnection, Request, Response], Any] | None = None,
        server_header: str | None = None,
    ) -> None:
        """The library's handshake under the deadlines above. Raises TimeoutError, and the library hangs
        up."""
        async with asyncio.timeout(self.head_seconds) as deadline:

            async def decide(connection: ServerConnection, request: Request) -> Response | None:
                deadline.reschedule(None)
                response = process_request(connection, request) if process_request else None
                if isinstance(response, Awaitable):
                    response = await response
                deadline.reschedule(self.loop.time() + self.answer_seconds)
                return response

            await super().handshake(decide, process_response, server_header)
        self.request = _FORGOTTEN
        self.response = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A TCP connection: small writes leave at once, and a peer that vanished is noticed by the kernel
        too."""
        if (plain := transport.get_extra_info("socket")) is not None:
            with contextlib.suppress(OSError):
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        super().connection_made(transport)
        self._sockets.add(self)
        if len(self._sockets) > self._most:
            self.transport.abort()  # somebody opens connections and asks for nothing

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, however it came."""
        super().connection_lost(exc)
        self._sockets.discard(self)
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None
        gone, self.gone = self.gone, None
        if gone is not None:
            gone()

    def data_received(self, data: bytes) -> None:
        """Anything from the client shows that it is alive."""
        self.heard = self.loop.time()
        super().data_received(data)
        # The library answers every ping, also of a client that never reads the answers.
        if self.paused and self.transport.get_write_buffer_size() > 2 * self.most_waiting:
            self.transport.abort()

    def send_data(self) -> None:
        """Add the reason to what the library writes when it gives up by itself."""
        protocol = self.protocol
        if not self._said_why and protocol.writes:
            if self.request is None and protocol.handshake_exc is not None:
                self._said_why = True
                if not isinstance(protocol.handshake_exc.__cause__, EOFError):
                    protocol.writes = [_refused_head(protocol.handshake_exc).serialize(), b""]
            elif protocol.close_sent is not None and protocol.close_rcvd is None:
                self._said_why = True
                row = code_for_close(protocol.close_sent.code)
                metrics.closed_total.labels(row.name).inc()
                # Before the close frame and the end of the stream, which are the last two things to be
                # written.
                at = max(0, len(protocol.writes) - 2)
                protocol.writes.insert(at, text_frame(Error.of(row.name).encode()))
        super().send_data()

    def end(self, code: int, linger: float) -> None:
        """Send a close frame, and cut the connection ``linger`` seconds later if the client has not gone by
        then.

        Returns at once; the reason has been told in a message before. Again is harmless.
        """
        self._said_why = True
        if self.protocol.state is OPEN and not self.transport.is_closing():
            self.protocol.send_close(code)
            self.send_data()
        if self._cut is None:
            self._cut = self.loop.call_later(linger, self.transport.abort)


def _refused_head(error: Exception) -> Response:
    if isinstance(error, RequestLineTooLong):
        return refuse("uri_too_long")
    if isinstance(error, HeaderLineTooLong | TooManyHeaders):
        return refuse("headers_too_large")
    return refuse("bad_request")
