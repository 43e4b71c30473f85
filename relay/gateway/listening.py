"""How the library is told to listen, on either address, and what it means when it cannot."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve

from relay.errors import ConfigError
from relay.gateway.library import LOGGER
from relay.gateway.websocket import WebSocket

__all__ = ["TLS_SECONDS", "listen"]

#: Seconds for the TLS handshake, and for the closing handshake of a connection that the library closes.
TLS_SECONDS = 10.0
CLOSE_SECONDS = 5.0
#: Frames of one client that may wait to be read before TCP holds the client back.
FRAMES_WAITING = 8
#: Bytes in the write buffer above which ``send_all`` waits for the client.
PACE_BYTES = 65536


async def listen(
    key: str, host: str, port: int, *, handler: Callable[[ServerConnection], Awaitable[None]], **options: Any
) -> Server:
    """Listen on ``host:port``. Raises ConfigError that names the setting ``key``."""
    try:
        return await serve(
            handler,
            host,
            port,
            compression=None,  # Safari's is broken in versions still about, and it costs memory per client
            server_header=None,
            open_timeout=None,  # see WebSocket.handshake
            ping_interval=None,  # see Heartbeat
            close_timeout=CLOSE_SECONDS,
            max_queue=FRAMES_WAITING,
            write_limit=PACE_BYTES,
            logger=LOGGER,
            create_connection=WebSocket,
            backlog=1024,
            **options,
        )
    except socket.gaierror:
        raise ConfigError(f"{key}: there is no address {host}; set an address of this machine") from None
    except OSError as error:
        raise ConfigError(f"{key}: {_why_not(error, host, port)}") from None


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{port} on {host} is in use; stop what listens there or choose another port"
    if error.errno == errno.EACCES:
        return f"{port} on {host} needs privileges; choose a port above 1023 or grant CAP_NET_BIND_SERVICE"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; set one, or 0.0.0.0 for all"
    return f"cannot listen on {host}:{port} ({error.strerror}); choose another address"
