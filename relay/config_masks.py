"""The part of the settings that masks of policies need: ``[masks]``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from relay.config_kinds import Section
from relay.errors import ConfigError

__all__ = ["MASKS", "MaskName", "MaskSettings"]

MaskName = Literal["email", "last4", "last8", "hash", "redact", "drop"]
MASKS: tuple[MaskName, ...] = ("email", "last4", "last8", "hash", "redact", "drop")

#: As many bytes as the hash has (RFC 2104 §3): with fewer, whoever knows some values might find the key.
KEY_BYTES = 32


class MaskSettings(Section):
    """The key of ``hash``. It is of its own: who may sign tokens must not thereby find out what a hash hides."""

    hash_key: Annotated[str, Field(repr=False)] = ""  # the UTF-8 bytes are the key
    hash_key_file: str = ""  # the same in a file; a newline at the end is not part of it

    @field_validator("hash_key")
    @classmethod
    def _long_enough(cls, key: str) -> str:
        if key:
            _check(key.encode())
        return key

    @model_validator(mode="after")
    def _one_key(self) -> MaskSettings:
        if self.hash_key and self.hash_key_file:
            raise ValueError("has hash_key and hash_key_file; keep one")
        return self

    def key(self, others: Collection[bytes] = ()) -> bytes | None:
        """The key, None if there is none. The file is read at each call. Raises ConfigError.

        ``others`` are secrets that serve something else, so it may be none of them.
        """
        key = self.hash_key.encode()
        if self.hash_key_file:
            spot = f"masks.hash_key_file: {self.hash_key_file}"
            try:
                key = Path(self.hash_key_file).read_bytes().rstrip(b"\r\n")
                _check(key)
            except OSError as error:
                raise ConfigError(
                    f"{spot} cannot be read ({error.strerror}); check its path and permissions"
                ) from None
            except ValueError as error:
                raise ConfigError(f"{spot} {error}") from None
        if key in others:
            raise ConfigError(
                "masks.hash_key is one of the secrets that tokens are signed with; give it a key of its own, "
                "made with: openssl rand -base64 48"
            )
        return key or None


def _check(key: bytes) -> None:
    if len(key) < KEY_BYTES:
        raise ValueError(
            f"holds a key of {len(key)} bytes and needs {KEY_BYTES}; make one with: openssl rand -base64 48"
        )
