"""Opening requests are read as the protocol says: which token, whose Origin, which client."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers

from relay.gateway.handshake import Proxies, find_token, origin_allowed, split_target, wants_websocket


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("/ws/?token=a", ("/ws/", "token=a")),
        ("/", ("/", "")),
        ("http://host/ws/", None),
        ("*", None),
        ("", None),
        ("/a#b", None),
    ],
)
def test_only_origin_form_is_a_target(target: str, parts: tuple[str, str] | None) -> None:
    """A request target is a path with an optional query; other forms are refused."""
    assert split_target(target) == parts


@pytest.mark.parametrize(
    ("headers", "query", "token"),
    [
        ([("Authorization", "Bearer h")], "token=q", "h"),
        ([("authorization", "bearer  h ")], "", "h"),
        ([("Authorization", "Bearer h"), ("Sec-WebSocket-Protocol", "relay.v1, bearer.s")], "token=q", "h"),
        ([("Sec-WebSocket-Protocol", "relay.v1, bearer.s")], "token=q", "s"),
        ([("Sec-WebSocket-Protocol", "relay.v1"), ("Sec-WebSocket-Protocol", "bearer.a.b.c")], "", "a.b.c"),
        ([("Authorization", "Basic dTpw")], "token=q", "q"),
        ([("Authorization", "Bearer ")], "token=q", ""),
        ([], "a=1&token=q%2Bx&token=z", "q+x"),
        ([], "token=", ""),
        ([], "nottoken=q", None),
        ([("Sec-WebSocket-Protocol", "relay.v1")], "", None),
    ],
)
def test_the_first_carrier_found_wins(headers: list[tuple[str, str]], query: str, token: str | None) -> None:
    """Authorization comes before the subprotocol, and that before the query; an empty carrier is still
    found."""
    assert find_token(Headers(headers), query) == token


@pytest.mark.parametrize(
    ("origins", "host", "allowed", "may"),
    [
        ([], "relay.example", (), True),
        ([], "relay.example", ("https://app.example",), True),
        (["https://relay.example"], "relay.example", (), True),
        (["https://RELAY.example"], "relay.example", (), True),
        (["http://relay.example:8765"], "relay.example:8765", (), True),
        (["ws://relay.example:8765"], "relay.example:8765", (), True),
        (["https://relay.example"], "relay.example:443", (), True),
        (["https://relay.example:8443"], "relay.example", (), False),
        (["https://evil.example"], "relay.example", (), False),
        (["https://relay.example.evil.example"], "relay.example", (), False),
        (["https://relay.example"], None, (), False),
        (["null"], "relay.example", (), False),
        (["null"], "relay.example", ("*",), False),
        ([""], "relay.example", (), False),
        (["https://a:b"], "relay.example", (), False),
        (["https://[::1"], "[::1", (), False),
        (["http://[::1]:8765"], "[::1]:8765", (), True),
        (["https://app.example", "https://app.example"], "relay.example", ("https://app.example",), False),
        (["https://app.example"], "relay.example", ("https://app.example",), True),
        (["https://app.example/"], "relay.example", ("https://app.example:443",), True),
        (["http://app.example"], "relay.example", ("https://app.example",), False),
        (["https://relay.example"], "relay.example", ("https://app.example",), False),
        (["https://anybody.example"], "relay.example", ("*",), True),
        (["file://"], "", (), False),
    ],
)
def test_origins(origins: list[str], host: str | None, allowed: tuple[str, ...], may: bool) -> None:
    """No Origin may pass, ``null`` never, otherwise the list decides, or without one the relay's own host."""
    assert origin_allowed(origins, host, allowed) is may


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.1:5123"], "198.51.100.1"),
        ("10.0.0.1", ['"[2001:db8::5]:443"'], "2001:db8::5"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_forwarded_addresses_are_believed_of_proxies_only(
    peer: str, forwarded: list[str], client: str
) -> None:
    """X-Forwarded-For counts only from a trusted peer, read from the right up to the first stranger."""
    headers = Headers([("X-Forwarded-For", line) for line in forwarded])
    assert Proxies(["10.0.0.0/8"]).client(peer, headers) == client


def test_forwarded_hosts_are_believed_of_proxies_only() -> None:
    """X-Forwarded-Host counts only from a trusted peer; two Host headers are none."""
    headers = Headers([("Host", "inner"), ("X-Forwarded-Host", "relay.example")])
    assert Proxies(["10.0.0.0/8"]).host("10.0.0.1", headers) == "relay.example"
    assert Proxies(["10.0.0.0/8"]).host("203.0.113.9", headers) == "inner"
    assert Proxies([]).host("10.0.0.1", Headers([("Host", "a"), ("Host", "b")])) is None


def test_the_upgrade_is_recognised_in_any_case() -> None:
    """The Upgrade header is compared without regard to case and may list more."""
    assert wants_websocket(Headers([("Upgrade", "h2c, WebSocket")]))
    assert not wants_websocket(Headers([("Upgrade", "h2c")]))
    assert not wants_websocket(Headers())
