"""Keys of an identity provider: chosen by id, fetched rarely, and never used for what they are not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from relay.config import AuthSettings
from relay.errors import TokenRefused
from relay.gateway.auth import Authenticator

SECRET = "one secret of more than thirty-two bytes"
AUDIENCE = "payment-relay"

RSA = rsa.generate_private_key(65537, 2048)
RSA_OTHER = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def jwk(key: Any, **extra: str) -> dict[str, Any]:
    """The public half of ``key`` as a member of a key set."""
    name = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    made: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(name).to_jwk(key.public_key()))
    return {k: v for k, v in made.items() if k not in ("key_ops", "alg")} | extra


def signed(key: Any, algorithm: str, headers: dict[str, Any] | None = None) -> str:
    """A token with good claims."""
    now = time.time()
    claims = {"sub": "ada", "aud": AUDIENCE, "iat": now - 1, "exp": now + 60}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


class KeyServer:
    """An identity provider that only pretends."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.fails = False

    async def __call__(self, url: str) -> dict[str, Any]:
        assert url == "https://id.example/keys"
        self.asked += 1
        if self.fails:
            raise OSError("connection refused")
        return {"keys": self.keys}


def by_key_set(server: Callable[[str], Any], *algorithms: str) -> Authenticator:
    """An authenticator that fetches its keys from ``server``."""
    settings = AuthSettings(
        algorithms=algorithms or ("RS256", "ES256"), jwks_url="https://id.example/keys", audience=AUDIENCE
    )
    return Authenticator(settings, fetch=server)


async def test_a_key_set_is_fetched_once_for_many_tokens() -> None:
    """Keys are chosen by ``kid``; the set is fetched at the first token and kept."""
    server = KeyServer(jwk(RSA, kid="a"), jwk(EC, kid="b"))
    guard = by_key_set(server)
    for _ in range(3):
        assert (await guard.verify(signed(RSA, "RS256", {"kid": "a"}))).subject == "ada"
        assert (await guard.verify(signed(EC, "ES256", {"kid": "b"}))).subject == "ada"
        assert (await guard.verify(signed(EC, "ES256"))).subject == "ada"
    assert server.asked == 1


async def test_an_unknown_key_is_fetched_at_a_limited_rate() -> None:
    """Tokens with invented key ids make no more than one fetch; each of them is refused."""
    server = KeyServer(jwk(RSA, kid="a"))
    guard = by_key_set(server)
    await guard.verify(signed(RSA, "RS256", {"kid": "a"}))
    for number in range(20):
        with pytest.raises(TokenRefused):
            await guard.verify(signed(RSA_OTHER, "RS256", {"kid": f"made up {number}"}))
    assert server.asked == 1


async def test_a_key_set_that_never_came_is_our_trouble() -> None:
    """Without any key set a token is neither good nor bad: ``keys_unavailable``, which a client may retry."""
    server = KeyServer()
    server.fails = True
    with pytest.raises(TokenRefused) as caught:
        await by_key_set(server).verify(signed(RSA, "RS256", {"kid": "a"}))
    assert caught.value.code == "keys_unavailable"


async def test_symmetric_and_encryption_keys_of_a_set_are_ignored() -> None:
    """A key set with a secret, a key for encryption or a key bound to another algorithm verifies nothing
    with it."""
    secret = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    server = KeyServer(
        {"kty": "oct", "k": secret, "kid": "s", "alg": "HS256"},
        jwk(RSA, kid="enc", use="enc"),
        jwk(RSA, kid="ps", alg="PS256"),
        jwk(EC, kid="b"),
    )
    guard = by_key_set(server)
    for kid in ("enc", "ps"):
        with pytest.raises(TokenRefused):
            await guard.verify(signed(RSA, "RS256", {"kid": kid}))
    with pytest.raises(TokenRefused):
        await guard.verify(signed(SECRET, "HS256", {"kid": "s"}))
    assert (await guard.verify(signed(EC, "ES256", {"kid": "b"}))).subject == "ada"
