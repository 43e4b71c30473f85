"""Only tokens of a configured key, algorithm, audience and time are accepted, and each refusal says why."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from relay.config import AuthSettings
from relay.errors import ConfigError, TokenRefused
from relay.gateway.auth import Authenticator, Revocations

SECRET = "one secret of more than thirty-two bytes"
OTHER = "another secret of more than thirty-two bytes"
AUDIENCE = "payment-relay"

RSA = rsa.generate_private_key(65537, 2048)
RSA_OTHER = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


@dataclass(frozen=True)
class Row:
    """One row of the revocation table."""

    subject: str
    at: datetime


def public(key: Any) -> str:
    """The public half of ``key`` in PEM."""
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def shared(**over: Any) -> AuthSettings:
    """Settings with one shared secret."""
    base = {"algorithms": ["HS256"], "secrets": [SECRET], "audience": AUDIENCE, "leeway_seconds": 0}
    return AuthSettings.model_validate(base | over)


def claims(**over: Any) -> dict[str, Any]:
    """Good claims, with ``over`` over them; None leaves one out."""
    now = time.time()
    base = {"sub": "ada", "aud": AUDIENCE, "iat": now - 1, "exp": now + 60} | over
    return {name: value for name, value in base.items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", headers: Any = None, /, **over: Any) -> str:
    """A token with good claims except ``over``."""
    return jwt.encode(claims(**over), key, algorithm=algorithm, headers=headers)


async def refusal(token: str, settings: AuthSettings | None = None) -> TokenRefused:
    """Why ``token`` is refused."""
    with pytest.raises(TokenRefused) as caught:
        await Authenticator(settings or shared()).verify(token)
    assert "eyJ" not in str(caught.value)
    return caught.value


async def test_a_good_token_is_an_identity() -> None:
    """Subject, claims and times of a good token are taken over."""
    found = await Authenticator(shared()).verify(signed(role="admin", iat=1000, exp=4_000_000_000))
    assert (found.subject, found.issued_at, found.expires_at) == ("ada", 1000.0, 4e9)
    assert found.claims["role"] == "admin"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "ü" * 10, "eyJ" + "a" * 20_000, "..", "a" * 100_000])
async def test_what_is_no_jwt_is_invalid(token: str) -> None:
    """Anything that is no JWT is ``token_invalid``, however long or strange."""
    assert (await refusal(token)).code == "token_invalid"


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "aud"])
async def test_a_missing_claim_is_named(claim: str) -> None:
    """exp, iat, sub and aud are required; the refusal names the one that is missing."""
    refused = await refusal(signed(SECRET, **{claim: None}))
    assert refused.code == "token_invalid"
    assert claim in str(refused)


async def test_an_expired_token_has_its_own_code() -> None:
    """An expired token is ``token_expired``, so that a client knows a fresh one helps; leeway postpones
    it."""
    late = signed(exp=time.time() - 5)
    assert (await refusal(late)).code == "token_expired"
    assert (await Authenticator(shared(leeway_seconds=30)).verify(late)).subject == "ada"


@pytest.mark.parametrize(
    "over",
    [
        {"iat": time.time() + 3600},
        {"nbf": time.time() + 3600},
        {"aud": "somebody else"},
        {"aud": ["a", "b"]},
        {"sub": 5},
        {"sub": ""},
        {"sub": "x" * 257},
        {"sub": "a\nb"},
        {"exp": "soon"},
        {"exp": str(int(time.time() + 3600))},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 1e15},
        {"iat": "1"},
        {"iat": []},
        {"iat": float("-inf")},
    ],
)
async def test_a_claim_that_makes_no_sense_is_invalid(over: dict[str, Any]) -> None:
    """A claim of the wrong type, time or audience is ``token_invalid`` and never an error of ours."""
    assert (await refusal(signed(**over))).code == "token_invalid"


async def test_the_issuer_is_checked_where_configured() -> None:
    """With an issuer configured, tokens of another or without one are refused; without, any is fine."""
    settings = shared(issuer="https://backend.example")
    assert (await Authenticator(settings).verify(signed(iss="https://backend.example"))).subject == "ada"
    assert (await refusal(signed(iss="https://evil.example"), settings)).code == "token_invalid"
    assert (await refusal(signed(), settings)).code == "token_invalid"
    assert (await Authenticator(shared()).verify(signed(iss="anybody"))).subject == "ada"


async def test_every_secret_of_a_rotation_is_good() -> None:
    """While secrets rotate, tokens signed with any of the list are accepted, others not."""
    settings = shared(secrets=[SECRET, OTHER])
    for secret in (SECRET, OTHER):
        assert (await Authenticator(settings).verify(signed(secret))).subject == "ada"
    assert (await refusal(signed("x" * 40), settings)).code == "token_invalid"


async def test_an_unsigned_token_is_refused() -> None:
    """``alg: none`` is never accepted, whatever the spelling."""
    assert (await refusal(jwt.encode(claims(), "", algorithm="none"))).code == "token_invalid"
    head = base64.urlsafe_b64encode(b'{"alg":"NoNe","typ":"JWT"}').rstrip(b"=").decode()
    body = signed().split(".")[1]
    assert (await refusal(f"{head}.{body}.")).code == "token_invalid"


async def test_the_header_cannot_add_an_algorithm() -> None:
    """A token signed with the right secret but an algorithm that is not listed is refused."""
    assert (await refusal(signed("s" * 64, "HS512"), shared(secrets=["s" * 64]))).code == "token_invalid"


async def test_a_public_key_is_no_secret() -> None:
    """A token signed with HMAC under the text of the public key is refused (RFC 8725 §2.1)."""
    settings = AuthSettings(algorithms=("RS256",), public_keys=(public(RSA),), audience=AUDIENCE)
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=")
    mac = hmac.new(public(RSA).encode(), head + b"." + body, hashlib.sha256).digest()
    forged = b".".join([head, body, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()
    assert (await refusal(forged, settings)).code == "token_invalid"


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA, "RS256"), (RSA, "PS512"), (EC, "ES256"), (ED, "EdDSA")],
    ids=lambda v: str(v)[:6],
)
async def test_public_keys_of_every_kind_verify(key: Any, algorithm: str) -> None:
    """RSA, EC and Ed25519 keys verify what their private halves signed, side by side in one list."""
    settings = AuthSettings(
        algorithms=("RS256", "PS512", "ES256", "EdDSA"),
        public_keys=(public(RSA_OTHER), public(RSA), public(EC), public(ED)),
        audience=AUDIENCE,
    )
    assert (await Authenticator(settings).verify(signed(key, algorithm))).subject == "ada"


async def test_public_keys_may_be_files(tmp_path: Path) -> None:
    """A public key may be given as the path of a PEM file."""
    file = tmp_path / "key.pem"
    file.write_text(public(EC))
    settings = AuthSettings(algorithms=("ES256",), public_keys=(str(file),), audience=AUDIENCE)
    assert (await Authenticator(settings).verify(signed(EC, "ES256"))).subject == "ada"


@pytest.mark.parametrize(
    ("over", "named"),
    [
        ({"algorithms": ("RS256",), "public_keys": ("/no/such/file.pem",)}, "auth.public_keys[1]"),
        ({"algorithms": ("RS256",), "public_keys": ("-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----",)},
         "auth.public_keys[1]"),
        ({"algorithms": ("ES256",), "public_keys": (public(RSA),)}, "auth.public_keys[1]"),
        ({"algorithms": ("RS256",), "public_keys": (public(rsa.generate_private_key(65537, 1024)),)},
         "auth.public_keys[1]"),
        ({"algorithms": ("RS256",), "public_keys": (RSA.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),)}, "private key"),
        ({"algorithms": ("HS512",), "secrets": ("x" * 40,)}, "needs 64"),
        ({}, "RELAY_AUTH__SECRETS"),
    ],
    ids=["no file", "no key", "other kind", "too short", "private", "short secret", "nothing"],
)  # fmt: skip
def test_keys_that_cannot_be_used_stop_the_start(over: dict[str, Any], named: str) -> None:
    """A key that cannot work is a configuration error of one line that names it."""
    with pytest.raises(ConfigError) as caught:
        Authenticator(AuthSettings.model_validate({"audience": AUDIENCE, **over}))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_revocation_refuses_what_was_issued_until_then() -> None:
    """Tokens of a revoked subject issued at or before that moment are refused, later ones and other
    people's not."""
    revocations = Revocations()
    guard = Authenticator(shared(), revocations=revocations)
    revocations.update(
        [Row("ada", datetime.fromtimestamp(2000, UTC)), Row("ada", datetime.fromtimestamp(1500, UTC))]
    )
    for issued, good in ((1999, False), (2000, False), (2001, True)):
        token = signed(iat=issued)
        if good:
            assert (await guard.verify(token)).issued_at == issued
        else:
            with pytest.raises(TokenRefused) as caught:
                await guard.verify(token)
            assert caught.value.code == "token_revoked"
    assert (await guard.verify(signed(iat=1000, sub="bob"))).subject == "bob"
    revocations.update([])
    assert (await guard.verify(signed(iat=1000))).subject == "ada"
