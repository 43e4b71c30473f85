"""Who is there: JSON Web Tokens (RFC 7519, RFC 8725) in, an identity or a refusal out. The only user of
``jwt``.

The algorithms a token may be signed with are the configured ones, bound to the kind of key: the header of a
token chooses among them and never adds one. ``exp``, ``iat``, ``sub`` and ``aud`` must be there. A token
issued at or before the moment its subject was revoked is refused for good.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import jwt
from jwt.algorithms import get_default_algorithms

from relay.config_auth import SHARED, AuthSettings
from relay.errors import ConfigError, TokenRefused
from relay.gateway.keys import KeySetSource, fetch_json

__all__ = ["Authenticator", "Identity", "Revocations", "mint"]

#: Longer than any sensible token; more is not even parsed.
MOST_TOKEN_CHARS = 16384
MOST_SUBJECT_CHARS = 256
#: RFC 7518 §3.2: an HMAC key has at least as many bytes as the hash. PyJWT only warns.
HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
#: The last moment that ISO 8601 can write with four digits of year.
_END_OF_TIME = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a valid token speaks for. Times are Unix seconds; ``expires_at`` is before any leeway."""

    subject: str
    claims: Mapping[str, Any]
    issued_at: float
    expires_at: float


class Revocation(Protocol):
    """One row of ``relay.revocation``."""

    @property
    def subject(self) -> str:
        """Whose tokens."""

    @property
    def at(self) -> datetime:
        """Tokens issued at or before this moment are refused."""


class Revocations:
    """The latest revocation of every subject that ever had one."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def update(self, rows: Iterable[Revocation]) -> None:
        """Take over the whole table as it is now."""
        fresh: dict[str, float] = {}
        for row in rows:
            fresh[row.subject] = max(row.at.timestamp(), fresh.get(row.subject, -math.inf))
        self._at = fresh

    def refuses(self, subject: str, issued_at: float) -> bool:
        """Whether a token of ``subject`` issued then is no longer good."""
        return issued_at <= self._at.get(subject, -math.inf)


@dataclass(frozen=True, slots=True)
class _Key:
    """One key and what it may verify. ``id`` None: fits any ``kid``."""

    id: str | None
    material: Any
    algorithms: tuple[str, ...]


class Authenticator:
    """Checks tokens as ``[auth]`` says. Raises ConfigError for keys that cannot be used."""

    def __init__(
        self,
        settings: AuthSettings,
        *,
        revocations: Revocations | None = None,
        fetch: Callable[[str], Awaitable[dict[str, Any]]] = fetch_json,
    ) -> None:
        self.revocations = revocations or Revocations()
        self.leeway_seconds = settings.leeway_seconds
        self._settings = settings
        self._source: KeySetSource[tuple[_Key, ...]] | None = None
        self._keys: tuple[_Key, ...] = ()
        if settings.is_shared:
            self._keys = _shared_keys(settings)
        elif settings.public_keys:
            self._keys = tuple(
                _public_key(number, text, settings.algorithms)
                for number, text in enumerate(settings.public_keys, 1)
            )
        elif settings.jwks_url:
            self._source = KeySetSource(settings.jwks_url, self._key_set, fetch=fetch)
        else:
            raise ConfigError(
                "auth has no keys, and nobody is let in without a token; set auth.secrets (or "
                "RELAY_AUTH__SECRETS) to the output of: openssl rand -base64 48"
            )

    async def verify(self, token: str) -> Identity:
        """Whom ``token`` speaks for. Raises TokenRefused; its message says what is wrong and holds nothing
        of it."""
        claims = await self._claims(token)
        subject = claims["sub"]
        issued_at, expires_at = _moment(claims, "iat"), _moment(claims, "exp")
        if not subject or len(subject) > MOST_SUBJECT_CHARS or not subject.isprintable():
            raise TokenRefused("token_invalid", f"sub must be 1 to {MOST_SUBJECT_CHARS} printable characters")
        if self.revocations.refuses(subject, issued_at):
            raise TokenRefused("token_revoked", "access was withdrawn; sign in again")
        return Identity(subject, claims, issued_at, expires_at)

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MOST_TOKEN_CHARS or not token.isascii():
            raise TokenRefused("token_invalid", "the token is no JWT")
        try:
            header = jwt.get_unverified_header(token)
        except Exception:  # whatever a stranger makes the parser raise, the token is none
            raise TokenRefused("token_invalid", "the token is no JWT") from None
        algorithm, key_id = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._settings.algorithms:
            raise TokenRefused("token_invalid", "the token is signed with an algorithm not allowed here")
        for key in await self._candidates(algorithm, key_id):
            try:
                return self._decode(token, key)
            except jwt.InvalidSignatureError:
                continue
        raise TokenRefused("token_invalid", "no key of this relay made the signature of the token")

    def _decode(self, token: str, key: _Key) -> dict[str, Any]:
        settings = self._settings
        try:
            return jwt.decode(
                token,
                key.material,
                algorithms=key.algorithms,
                audience=settings.audience,
                issuer=settings.issuer or None,
                leeway=settings.leeway_seconds,
                options={"require": ["exp", "iat", "sub", "aud"]},
            )
        except jwt.InvalidSignatureError:
            raise
        except jwt.ExpiredSignatureError:
            raise TokenRefused("token_expired", "the token has expired; connect with a fresh one") from None
        except jwt.MissingRequiredClaimError as error:
            raise TokenRefused("token_invalid", f"the token lacks the claim {error.claim}") from None
        except jwt.ImmatureSignatureError:
            raise TokenRefused("token_invalid", "the token is from the future; check the clocks") from None
        except jwt.InvalidAudienceError:
            raise TokenRefused("token_invalid", "the token is for another audience") from None
        except jwt.InvalidIssuerError:
            raise TokenRefused("token_invalid", "the token is from another issuer") from None
        except Exception:  # signed by a friend, yet a claim is such that jwt stumbles over it
            raise TokenRefused("token_invalid", "a claim of the token has the wrong type") from None

    async def _candidates(self, algorithm: str, key_id: object) -> Sequence[_Key]:
        def fitting(keys: tuple[_Key, ...]) -> list[_Key]:
            return [
                key
                for key in keys
                if algorithm in key.algorithms and (key.id is None or key_id is None or key.id == key_id)
            ]

        if self._source is None:
            return fitting(self._keys)
        keys = await self._source.keys(lambda keys: bool(fitting(keys)))
        if keys is None:
            raise TokenRefused("keys_unavailable", "tokens cannot be checked at the moment; try again soon")
        return fitting(keys)

    def _key_set(self, document: dict[str, Any]) -> tuple[_Key, ...]:
        try:
            found = jwt.PyJWKSet.from_dict(document)
        except Exception as error:  # a document from the network; jwt and cryptography raise many kinds
            raise ValueError(f"is no usable key set: {error}") from None
        keys = []
        for key, entry in ((key, key._jwk_data) for key in found.keys):
            if entry.get("kty") == "oct" or entry.get("use", "sig") != "sig":
                continue
            named = entry.get("alg")
            fit = _fitting(key.key, self._settings.algorithms)
            keys.append(_Key(key.key_id, key.key, tuple(a for a in fit if named in (None, a))))
        return tuple(keys)


def mint(settings: AuthSettings, subject: str, seconds: float, claims: Mapping[str, Any]) -> str:
    """A token for ``subject`` that these settings accept for so many seconds: for development and the demo.

    Raises ConfigError where there is no shared secret: with public keys only the identity provider can sign.
    """
    if not settings.is_shared:
        raise ConfigError("auth has no shared secret, so only your identity provider can make tokens; ask it")
    now = int(time.time())
    registered = {"sub": subject, "aud": settings.audience, "iat": now, "exp": now + math.ceil(seconds)}
    if settings.issuer:
        registered["iss"] = settings.issuer
    key = _shared_keys(settings)[0]
    return jwt.encode({**claims, **registered}, key.material, algorithm=key.algorithms[0])


def _shared_keys(settings: AuthSettings) -> tuple[_Key, ...]:
    need = max(HMAC_BYTES[algorithm] for algorithm in settings.algorithms)
    for secret in (secrets := settings.shared_secrets()):
        if len(secret) < need:
            raise ConfigError(
                f"auth has a secret of {len(secret)} bytes and {max(settings.algorithms)} needs {need}; "
                "make one with: openssl rand -base64 64, or allow HS256 alone"
            )
    return tuple(_Key(None, secret, settings.algorithms) for secret in secrets)


def _public_key(number: int, text: str, allowed: tuple[str, ...]) -> _Key:
    spot = f"auth.public_keys[{number}]"
    if "-----BEGIN" not in text:
        try:
            text = Path(text).read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise ConfigError(f"{spot}: no PEM text and no readable file ({why}); give one of both") from None
    if "PRIVATE KEY" in text:
        raise ConfigError(f"{spot} is a private key; give the public one (openssl pkey -pubout)")
    material = None
    for algorithm in allowed:
        try:
            material = get_default_algorithms()[algorithm].prepare_key(text)
        except Exception:  # not a key of this algorithm's family; the next may fit
            continue
        if algorithms := _fitting(material, allowed):
            return _Key(None, material, algorithms)
    raise ConfigError(f"{spot} is no key for {', '.join(allowed)}; check the PEM text and auth.algorithms")


def _fitting(material: Any, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The allowed algorithms this key can verify. None of them is ever HMAC: a public key is no secret."""
    fit = []
    for name in allowed:
        if name in SHARED:
            continue
        algorithm = get_default_algorithms()[name]
        try:
            prepared = algorithm.prepare_key(material)
        except Exception:  # the wrong family, or the wrong curve
            continue
        if algorithm.check_key_length(prepared):
            continue  # too short to be safe (RFC 7518 §3.3: RSA of 2048 bits)
        fit.append(name)
    return tuple(fit)


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _END_OF_TIME:
        raise TokenRefused("token_invalid", f"{name} must be a number of seconds since 1970")
    return float(value)
