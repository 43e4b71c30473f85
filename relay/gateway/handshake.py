"""What an opening request says, read without deciding anything: path, token, Origin, and who is really
asking.

Pure. The order of token carriers and the Origin rules are those of docs/protocol.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

__all__ = [
    "SUBPROTOCOL",
    "Headers",
    "Proxies",
    "bearer_token",
    "find_token",
    "is_own_host",
    "offered_subprotocols",
    "origin_allowed",
    "split_target",
    "wants_websocket",
]

#: What the relay answers to a client that offers it. Chromium drops a connection whose offer is not answered.
SUBPROTOCOL = "relay.v1"

_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Headers(Protocol):
    """Request headers, names in any case."""

    def get_all(self, key: str) -> Sequence[str]:
        """All values of ``key``."""


def _items(headers: Headers, name: str) -> list[str]:
    """The members of a comma-separated header, over all its lines."""
    return [item.strip() for line in headers.get_all(name) for item in line.split(",") if item.strip()]


def split_target(target: str) -> tuple[str, str] | None:
    """Path and query of a request target in origin form (RFC 9112 §3.2.1). None: another form."""
    if not target.startswith("/") or "#" in target:
        return None
    path, _, query = target.partition("?")
    return path, query


def wants_websocket(headers: Headers) -> bool:
    """Whether the request asks for the upgrade."""
    return any(item.lower() == "websocket" for item in _items(headers, "Upgrade"))


def offered_subprotocols(headers: Headers) -> list[str]:
    """What the client offers to speak, and the token it may have put there."""
    return _items(headers, "Sec-WebSocket-Protocol")


def find_token(headers: Headers, query: str) -> str | None:
    """The token of the first carrier found, which may be empty; None: there is none, and a first message
    may bring it.

    ``Authorization: Bearer``, then ``bearer.<token>`` among the offered subprotocols, then ``?token=``.
    """
    if (token := bearer_token(headers)) is not None:
        return token
    for offered in offered_subprotocols(headers):
        if offered.startswith("bearer."):
            return offered.removeprefix("bearer.")
    for name, token in parse_qsl(query, keep_blank_values=True, errors="replace"):
        if name == "token":
            return token
    return None


def bearer_token(headers: Headers) -> str | None:
    """The token of ``Authorization: Bearer``, which may be empty; None: there is none."""
    for line in headers.get_all("Authorization"):
        scheme, _, token = line.strip().partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    return None


def origin_allowed(origins: Sequence[str], host: str | None, allowed: Sequence[str]) -> bool:
    """Whether a request with these Origin headers may go on.

    None at all: no browser, allowed. ``null`` (a sandboxed frame, a file) is nobody's origin and never
    allowed. With no list configured the relay's own host is allowed: React Native makes an Origin of the
    socket's own address.
    """
    if not origins:
        return True
    if len(origins) > 1 or origins[0] == "null":
        return False
    origin = origins[0].rstrip("/")
    if not allowed:
        return host is not None and is_own_host(origin, host)
    return "*" in allowed or any(_same_origin(origin, one) for one in allowed)


def is_own_host(origin: str, host: str) -> bool:
    """Whether ``origin`` is of the server reached as ``host`` (a Host header).

    The scheme is not compared: behind a proxy that ends TLS the relay cannot know it.
    """
    try:
        theirs = urlsplit(origin)
        ours = urlsplit(f"//{host}")
        default = _DEFAULT_PORTS.get(theirs.scheme)
        return (
            default is not None
            and theirs.hostname is not None
            and theirs.hostname == ours.hostname
            and (theirs.port or default) == (ours.port or default)
        )
    except ValueError:  # a port that is no number, a bracket that never closes
        return False


def _same_origin(origin: str, allowed: str) -> bool:
    return _parts(origin) == _parts(allowed.rstrip("/"))


def _parts(origin: str) -> tuple[str, str | None, int | None] | str:
    try:
        split = urlsplit(origin)
        return split.scheme, split.hostname, split.port or _DEFAULT_PORTS.get(split.scheme)
    except ValueError:
        return origin


def _address(text: str) -> Address | None:
    text = text.strip().strip('"').partition("%")[0]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


class Proxies:
    """The networks whose forwarded headers are believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)

    def trust(self, peer: str) -> bool:
        """Whether ``peer`` is one of them."""
        address = _address(peer)
        return address is not None and self._holds(address)

    def _holds(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def client(self, peer: str, headers: Headers) -> str:
        """The address that limits apply to: of the nearest hop that is no trusted proxy.

        ``X-Forwarded-For`` is read from its right end, the only part a client cannot forge.
        """
        if not self.trust(peer):
            return peer
        client = peer
        for hop in reversed(_items(headers, "X-Forwarded-For")):
            address = _address(hop)
            if address is None:
                break
            client = str(address)
            if not self._holds(address):
                break
        return client

    def host(self, peer: str, headers: Headers) -> str | None:
        """The host the client asked for."""
        if self.trust(peer) and (forwarded := _items(headers, "X-Forwarded-Host")):
            return forwarded[-1]
        hosts = headers.get_all("Host")
        return hosts[0] if len(hosts) == 1 else None
