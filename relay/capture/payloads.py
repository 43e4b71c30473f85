"""NOTIFY payloads as typed values, one model per ``kind``.

NOTIFY has no privileges in Postgres: anybody who can connect can send anything. A payload is therefore never an order:
``wake`` makes the relay look, ``control`` makes it read ``relay.revocation`` again, and ``event`` counts only for
tables that were put in mode notify.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from relay.capture.change import Change, Operation
from relay.jsontext import JSONError, decode, encode

__all__ = ["CHANNEL", "VERSION", "Control", "Event", "Payload", "Wake", "parse", "wake_with"]

CHANNEL: Final = "relay"
VERSION: Final = 1
#: The current and the previous version; version 0 never existed.
ACCEPTED: Final = (VERSION, VERSION - 1) if VERSION > 1 else (VERSION,)

_XID_MAX = 2**64 - 1
_MOST_DIGITS = 4000  # half of what a payload has bytes


def _text(value: object) -> object:
    # Lax mode is wanted for ISO 8601 only; it would take a number for seconds since 1970.
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


class _Model(BaseModel):
    # Unknown fields are allowed: a newer trigger may add one within a version.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    v: int

    @model_validator(mode="after")
    def _known_version(self) -> Self:
        if self.v not in ACCEPTED:
            raise ValueError("unknown version")
        return self


class Wake(_Model):
    """Something was committed while a relay slept. With ``nonce`` it is a relay listening for itself, nothing more."""

    kind: Literal["wake"]
    nonce: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class Control(_Model):
    """``relay.revocation`` has a new row, perhaps about ``subject``."""

    kind: Literal["control"]
    subject: str | None = None


class Event(_Model):
    """A change of a table in mode notify. Without images the key alone was sent: the row was too big. A row's event
    without even a key: that was too big as well.
    """

    kind: Literal["event"]
    source: Annotated[str, Field(min_length=1)]
    op: Operation
    key: dict[str, Any] | None = None
    new: dict[str, Any] | None = None
    old: dict[str, Any] | None = None
    xid: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,19}$")]
    at: Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if int(self.xid) > _XID_MAX:
            raise ValueError("xid is out of range")
        for image in (self.key, self.new, self.old):
            if any(
                isinstance(value, Decimal) and abs(value.adjusted()) > _MOST_DIGITS
                for value in (image or {}).values()
            ):
                # jsonb writes every digit out, so no trigger of ours sends such a number. It would fill memory.
                raise ValueError("a number is out of range")
        return self

    def change(self) -> Change:
        """The same as a :class:`Change`; its id is 0, for nothing was written that could have one."""
        at: datetime = self.at
        return Change(0, int(self.xid), at, self.source, self.op, self.key, self.new, self.old)


Payload = Wake | Control | Event

_adapter: TypeAdapter[Payload] = TypeAdapter(Annotated[Payload, Field(discriminator="kind")])


def parse(text: str) -> Payload | None:
    """The payload in ``text``, or None for anything that is none: that is to be counted and treated as a wake-up."""
    try:
        return _adapter.validate_python(decode(text))
    except (JSONError, ValidationError, RecursionError):
        return None


def wake_with(nonce: str) -> str:
    """What a relay says to hear itself; other relays take no notice of it."""
    return encode({"v": VERSION, "kind": "wake", "nonce": nonce}).decode()
