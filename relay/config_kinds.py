"""The kinds of values that settings are made of: each refuses what could not work and says what would."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = [
    "Column",
    "Count",
    "Message",
    "Network",
    "ObjectKey",
    "OptionalColumn",
    "Order",
    "Origin",
    "Port",
    "Seconds",
    "Section",
    "Table",
    "UrlPath",
    "is_word",
]

#: NAMEDATALEN - 1: a longer name never names anything in PostgreSQL.
NAME_BYTES = 63
#: Types of the wire protocol itself; a channel that used one would confuse every client.
RESERVED_MESSAGES = frozenset(
    {
        "welcome",
        "subscribed",
        "unsubscribed",
        "snapshot",
        "checkpoint",
        "resync",
        "capture_status",
        "withheld",
    }
    | {"token_expiring", "error", "goodbye", "pong", "auth", "subscribe", "unsubscribe", "ping"}
)
#: Keys that stand beside the object in ``data``.
RESERVED_OBJECTS = frozenset({"action", "changed", "previous_status"})


def is_word(value: str) -> bool:
    """Whether ``value`` can be a name on the wire and in a variable: lower case, digits, ``_`` and ``-``."""
    return re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", value) is not None


def _column(value: str) -> str:
    if not re.fullmatch(r"[^\s.\"'%\x00]+", value) or len(value.encode()) > NAME_BYTES:
        raise ValueError(f"must be one column of at most {NAME_BYTES} bytes; write it without quotes or dots")
    return value


def _optional_column(value: str) -> str:
    return _column(value) if value else value


def _table(value: str) -> str:
    parts = value.split(".")
    if len(parts) != 2 or any(not re.fullmatch(r"[^\s\"'%\x00]{1,63}", part) for part in parts):
        raise ValueError('must be "schema.table"; write for instance "public.orders"')
    return value


def _message(value: str) -> str:
    if not is_word(value):
        raise ValueError("must be of lower-case letters, digits and _; write for instance invoice_update")
    if value in RESERVED_MESSAGES:
        raise ValueError("is a message of the protocol itself; choose another name, for instance row_change")
    return value


def _object(value: str) -> str:
    if not is_word(value):
        raise ValueError("must be of lower-case letters, digits and _; write for instance invoice")
    if value in RESERVED_OBJECTS:
        raise ValueError(
            "is a key that stands beside the object already; choose another name, for instance row"
        )
    return value


def _order(value: str) -> str:
    words = value.split()
    if value and not (1 <= len(words) <= 2 and words[1:] in ([], ["asc"], ["desc"])):
        raise ValueError('must be "column", "column asc" or "column desc"; name one column that has an index')
    if words:
        _column(words[0])
    return " ".join(words)


def _path(value: str) -> str:
    if not re.fullmatch(r"/[^\s?#]*", value):
        raise ValueError(
            'must begin with "/" and hold no query; write for instance "/ws/payment-monitoring/"'
        )
    if value in ("/", "/healthz") or value.startswith(("/api/", "/client/")):
        raise ValueError(f'is "{value}", which serves a page already; choose another path')
    return value


def _origin(value: str) -> str:
    if value != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s]+", value):
        raise ValueError('must be "*" or scheme://host[:port]; write for instance "https://app.example.org"')
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValueError('must be an IP address or network; write for instance "10.0.0.0/8"') from None
    return value


Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65535)]
Column = Annotated[str, AfterValidator(_column)]
OptionalColumn = Annotated[str, AfterValidator(_optional_column)]
#: ``schema.table``, spelled as in the catalog: without quotes, and never folded to lower case.
Table = Annotated[str, AfterValidator(_table)]
Message = Annotated[str, AfterValidator(_message)]
ObjectKey = Annotated[str, AfterValidator(_object)]
#: ``column``, ``column asc`` or ``column desc``.
Order = Annotated[str, AfterValidator(_order)]
UrlPath = Annotated[str, AfterValidator(_path)]
Origin = Annotated[str, AfterValidator(_origin)]
Network = Annotated[str, AfterValidator(_network)]


class Section(BaseModel):
    """A frozen table of settings in which an unknown key is an error. Its errors never repeat a value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
