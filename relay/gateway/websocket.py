"""The library's connection, made to behave as the protocol of the relay demands.

What is changed, and why:

* **Deadlines.** The library's ``open_timeout`` covers reading the request, deciding about it and sending the answer.
  Here the request head has ``HEAD_SECONDS``, the answer has ``ANSWER_SECONDS``, and deciding takes what it takes.
* **Reasons.** What the library refuses by itself (a malformed request, a frame against RFC 6455, a message that is too
  big) is answered with the JSON of the table of codes: as HTTP body, or as ``error`` before the close frame.
* **Memory.** An open connection has no task and no queue of its own: whole messages go to a receiver as they come. The
  request with its headers, and with them the token, is forgotten once the connection is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.frames import CONT, DATA_OPCODES, TEXT, CloseCode, Frame
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, Event
from websockets.server import ServerProtocol

from relay import metrics
from relay.gateway.address import Address, Receiver
from relay.gateway.http import refuse
from relay.gateway.library import LOGGER
from relay.gateway.wire import text_frame
from relay.messages.codes import code_for_close
from relay.messages.frames import Error

if TYPE_CHECKING:
    from relay.gateway.admission import Admission

__all__ = ["WebSocket"]

HEAD_SECONDS = 10.0
ANSWER_SECONDS = 30.0
#: Seconds that a client has to hang up once the WebSocket connection is closed.
LINGER_SECONDS = 5.0
#: Frames of one message.
MOST_FRAGMENTS = 1000

_FORGOTTEN = Request("/", Headers())


class _NoQueue:
    """Stands where the library queues messages. Nobody waits here, so there is nobody to wake up at the end."""

    __slots__ = ()

    def close(self) -> None:
        """The connection is lost."""


_NO_QUEUE = _NoQueue()


class WebSocket(ServerConnection):
    """One TCP connection to the gateway, before, during and after the upgrade.

    ``admission`` is what was decided about its request, ``heard`` when anything last came from the client.
    """

    # The attributes of the library's classes are named here, too: they are more than CPython lets instances
    # share keys for, so that every connection would own a dictionary of 2 kB.
    __slots__ = (
        "_address",
        "_cut",
        "_fragments",
        "_partial",
        "_receiver",
        "_said_why",
        "admission",
        "close_deadline",
        "close_timeout",
        "connection_exc",
        "connection_lost_waiter",
        "debug",
        "drain_waiters",
        "heard",
        "id",
        "keepalive_task",
        "latency",
        "logger",
        "loop",
        "max_queue_high",
        "max_queue_low",
        "most_waiting",
        "paused",
        "pending_pings",
        "ping_interval",
        "ping_timeout",
        "protocol",
        "recv_messages",
        "request",
        "request_rcvd",
        "response",
        "send_in_progress",
        "server",
        "transport",
        "write_limit_high",
        "write_limit_low",
    )

    head_seconds = HEAD_SECONDS
    answer_seconds = ANSWER_SECONDS
    linger_seconds = LINGER_SECONDS

    def __init__(self, protocol: ServerProtocol, server: Server, *, address: Address, **options: Any) -> None:
        super().__init__(protocol, server, **options)
        self.admission: Admission | None = None
        self.heard = self.loop.time()
        #: Bytes that may wait to be written before a client that floods without reading is cut off.
        self.most_waiting = 1 << 20
        # One logger for all connections, in place of an adapter with a back-reference for each.
        self.logger = self.protocol.logger = LOGGER
        self.drain_waiters = []  # type: ignore[assignment]  # a deque's first block alone takes 600 bytes
        self._address = address
        self._receiver: Receiver | None = None
        self._partial: bytearray | None = None
        self._fragments = 0
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

    # The opening.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A TCP connection, of which there may be so many. A peer that vanished is noticed by the kernel
        too."""
        if (plain := transport.get_extra_info("socket")) is not None:
            with contextlib.suppress(OSError):
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # The library's own connection_made is passed over: it starts a task that lives as long as the
        # connection and closes it with 1000 in the end. This one ends with the opening; from there on
        # everything is a callback.
        super(ServerConnection, self).connection_made(transport)
        self.recv_messages = _NO_QUEUE  # type: ignore[assignment]
        self._address.sockets.add(self)
        if len(self._address.sockets) > self._address.most:
            self.transport.abort()  # somebody opens connections and asks for nothing
            return
        task = self.loop.create_task(self._opening())
        self.server.handler_tasks.add(task)
        task.add_done_callback(self.server.handler_tasks.discard)

    async def _opening(self) -> None:
        with contextlib.suppress(Exception):  # too slow, or cut off in the middle
            await self._shake_hands()
        if self.is_open:
            try:
                self._receiver = self._address.opened(self)
            except Exception:
                LOGGER.error("nobody to receive a client", exc_info=True)
                self.transport.abort()
        else:
            self.transport.abort()
            # Also here: a client may be gone before anything was decided about it.
            self._give_seat_back()
        # The token is in the request.
        self.request, self.response = _FORGOTTEN, None
        del self.request_rcvd

    async def _shake_hands(self) -> None:
        async with asyncio.timeout(self.head_seconds) as deadline:

            async def decide(_: ServerConnection, request: Request) -> Response | None:
                deadline.reschedule(None)
                response = self._address.decide(self, request)
                if isinstance(response, Awaitable):
                    response = await response
                deadline.reschedule(self.loop.time() + self.answer_seconds)
                return response

            await self.handshake(decide, self._address.amend, server_header=None)

    # What comes.

    def data_received(self, data: bytes) -> None:
        """Anything from the client shows that it is alive."""
        self.heard = self.loop.time()
        super().data_received(data)
        if self._receiver is not None and self.protocol.close_expected():
            self._cut_later(
                self.linger_seconds
            )  # the client has closed, or broken the protocol, and should go
        # The library answers every ping, also of a client that never reads the answers.
        if self.paused and self.transport.get_write_buffer_size() > 2 * self.most_waiting:
            self.transport.abort()

    def process_event(self, event: Event) -> None:
        """One request or frame. Messages go to the receiver at once; the library's queue for them is not
        used."""
        if not isinstance(event, Frame):
            super().process_event(event)
        elif event.opcode in DATA_OPCODES:
            if self._receiver is None:
                self.transport.abort()  # it speaks before it was let in (RFC 6455 §4.1)
            else:
                self._put_together(event, self._receiver)

    def _put_together(self, frame: Frame, receiver: Receiver) -> None:
        if frame.opcode is not CONT:
            self._partial = bytearray((frame.opcode is TEXT,))
            self._fragments = 0
        assert self._partial is not None  # the library has refused a continuation of nothing
        self._partial += frame.data
        self._fragments += 1
        if self._fragments > MOST_FRAGMENTS:
            self.protocol.fail(CloseCode.MESSAGE_TOO_BIG)
            self.send_data()
        elif frame.fin:
            whole, self._partial = bytes(self._partial), None
            receiver.received(whole[1:], is_text=bool(whole[0]))

    # The end.

    def _give_seat_back(self) -> None:
        if self.admission is not None:
            self.admission.seat.leave()

    def _cut_later(self, seconds: float) -> None:
        if self._cut is None:
            self._cut = self.loop.call_later(seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, however it came."""
        super().connection_lost(exc)
        self._address.sockets.discard(self)
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None
        self._give_seat_back()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.lost()

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
        self._cut_later(linger)


def _refused_head(error: Exception) -> Response:
    if isinstance(error, RequestLineTooLong):
        return refuse("uri_too_long")
    if isinstance(error, HeaderLineTooLong | TooManyHeaders):
        return refuse("headers_too_large")
    return refuse("bad_request")
