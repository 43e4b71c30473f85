"""How the library is told to listen, on either address, and what it means when it cannot."""

from __future__ import annotations

import errno
import resource
import socket
from functools import partial
from typing import Any

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve

from relay.errors import ConfigError
from relay.gateway.address import Address
from relay.gateway.library import LOGGER
from relay.gateway.websocket import WebSocket

__all__ = ["TLS_SECONDS", "allow_files", "listen"]

#: Seconds for the TLS handshake.
TLS_SECONDS = 10.0
#: Bytes in the write buffer above which ``send_all`` waits for the client.
PACE_BYTES = 65536
#: Files that the process has open besides client connections.
OTHER_FILES = 100

log = structlog.get_logger(__name__)


def allow_files(connections: int) -> None:
    """Raise the limit on open files so that ``connections`` fit, as far as this process may; else say so."""
    need = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= need:
        return
    reach = need if hard == resource.RLIM_INFINITY else min(need, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reach, hard))
    if reach < need:
        log.warning(
            "too few open files allowed", allowed=reach, needed=need, remedy="raise ulimit -n, or LimitNOFILE"
        )


async def listen(
    key: str,
    host: str,
    port: int,
    *,
    address: Address,
    **options: Any,
) -> Server:
    """Listen on ``host:port`` on behalf of ``address``. Raises ConfigError that names the setting ``key``."""
    try:
        return await serve(
            _never,
            host,
            port,
            compression=None,  # Safari's is broken in versions still about, and it costs memory per client
            server_header=None,
            open_timeout=None,  # see WebSocket.handshake
            ping_interval=None,  # see Heartbeat
            close_timeout=None,  # see WebSocket.answer_seconds: a slow reader shall get the end of its answer, too
            write_limit=PACE_BYTES,
            logger=LOGGER,
            create_connection=partial(WebSocket, address=address),  # type: ignore[arg-type]
            backlog=1024,
            **options,
        )
    except socket.gaierror:
        raise ConfigError(
            f"{_host(key)}: there is no address {host}; set an address of this machine"
        ) from None
    except OSError as error:
        raise ConfigError(_why_not(key, error, host, port)) from None


async def _never(_: ServerConnection) -> None:
    raise AssertionError("a connection of ours has no handler: see WebSocket.connection_made")


def _why_not(key: str, error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{key}: {port} on {host} is in use; stop what listens there or choose another port"
    if error.errno == errno.EACCES:
        return f"{key}: {port} on {host} needs privileges; choose a port above 1023 or grant CAP_NET_BIND_SERVICE"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{_host(key)}: {host} is no address of this machine; set one, or 0.0.0.0 for all"
    return f"{key}: cannot listen on {host}:{port} ({error.strerror}); choose another address"


def _host(key: str) -> str:
    """The setting that holds the address for the port in ``key``."""
    return key.replace("port", "host")
