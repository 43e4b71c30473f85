"""The part of the settings that says how tokens are checked: ``[auth]``."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from relay.config_kinds import Section
from relay.errors import ConfigError

__all__ = ["AuthSettings"]

#: RFC 7518 §3.2: a key for HMAC with SHA-256 has at least as many bytes as the hash.
SECRET_BYTES = 32
SHARED = frozenset({"HS256", "HS384", "HS512"})
PUBLIC = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA"}
)


class AuthSettings(Section):
    """How tokens are checked: shared secrets, or public keys, or a JWKS address; never two of them."""

    algorithms: tuple[str, ...] = ()
    secrets: tuple[SecretStr, ...] = ()  # the UTF-8 bytes of each string are the key
    secret_files: tuple[str, ...] = ()  # one secret per file; a newline at the end is not part of it
    public_keys: tuple[str, ...] = ()  # PEM text, or the path of a PEM file
    jwks_url: str = ""
    issuer: str = ""  # empty: any
    audience: str = ""
    leeway_seconds: Annotated[float, Field(ge=0, le=300)] = 10

    @field_validator("secrets")
    @classmethod
    def _long_enough(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in secrets:
            _check_secret(secret.get_secret_value().encode())
        return secrets

    @model_validator(mode="after")
    def _one_kind(self) -> AuthSettings:
        if self.has_keys:
            kinds = {
                "a shared secret": self.is_shared,
                "public_keys": bool(self.public_keys),
                "jwks_url": bool(self.jwks_url),
            }
            have = [kind for kind, present in kinds.items() if present]
            if len(have) > 1:
                # With both, anybody could sign with the public key as if it were the secret (RFC 8725 §2.1).
                raise ValueError(
                    f"has {' and '.join(have)}; what one signs the other must not vouch for, keep one"
                )
            self._check_algorithms(have[0])
            if not self.audience:
                raise ValueError(
                    "has keys but no audience; set auth.audience to the aud claim of your tokens"
                )
        if self.jwks_url:
            if not re.fullmatch(r"https?://\S+", self.jwks_url):
                raise ValueError("has a jwks_url that is no http(s) address; write https://…")
            if self.jwks_url.startswith("http:") and not _is_loopback(self.jwks_url):
                # Whoever is on the way could hand out keys of their own, and sign tokens with them.
                raise ValueError("has a jwks_url without TLS; write https://… (http is for localhost only)")
        return self

    def _check_algorithms(self, kind: str) -> None:
        if not self.algorithms:
            raise ValueError(
                'has keys but no algorithms; list those you sign with, as algorithms = ["HS256"]'
            )
        fit = SHARED if self.is_shared else PUBLIC
        if wrong := [name for name in self.algorithms if name not in fit]:
            raise ValueError(
                f"has {kind} with algorithm {wrong[0]}; it works with {', '.join(sorted(fit))} only"
            )

    @property
    def has_keys(self) -> bool:
        """Whether any token could ever be accepted."""
        return bool(self.is_shared or self.public_keys or self.jwks_url)

    @property
    def is_shared(self) -> bool:
        """Whether tokens are checked with a shared secret, with which they could also be signed."""
        return bool(self.secrets or self.secret_files)

    def shared_secrets(self) -> tuple[bytes, ...]:
        """All shared secrets in configured order; files are read at each call. Raises ConfigError."""
        found = [secret.get_secret_value().encode() for secret in self.secrets]
        for number, name in enumerate(self.secret_files, 1):
            try:
                secret = Path(name).read_bytes().rstrip(b"\r\n")
                _check_secret(secret)
            except OSError as error:
                why = f"cannot be read ({error.strerror}); check its path and permissions"
                raise ConfigError(f"auth.secret_files[{number}]: {name} {why}") from None
            except ValueError as error:
                raise ConfigError(f"auth.secret_files[{number}]: {name} {error}") from None
            found.append(secret)
        return tuple(found)


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_secret(secret: bytes) -> None:
    if len(secret) < SECRET_BYTES:
        raise ValueError(
            f"holds a secret of {len(secret)} bytes and needs {SECRET_BYTES}; "
            "make one with: openssl rand -base64 48"
        )
