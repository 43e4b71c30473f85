"""Every message a client may send, as a declared type, and the one function that reads them.

Fields that are not declared are ignored, so that a newer client works with an older relay. What a field may
hold is checked here; whether a channel, filter or cursor can be honoured is decided where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from relay import jsontext
from relay.errors import RelayError
from relay.messages.frames import RequestId

__all__ = [
    "CLIENT_MESSAGES",
    "SNAPSHOT_ROWS",
    "Auth",
    "BadRequest",
    "Ping",
    "Request",
    "Subscribe",
    "Unsubscribe",
    "parse",
    "subscribe",
]

#: Rows of a snapshot that a client may ask for.
SNAPSHOT_ROWS = 500
#: Channels in one request; the limit on subscriptions is a setting and applies as well.
CHANNELS = 1000


class BadRequest(RelayError):
    """A client's message that cannot be read. ``code`` is one of the table; ``id`` is the request's, where
    it had one."""

    def __init__(self, code: str, message: str | None = None, *, id: str | int | None = None) -> None:
        self.code = code
        self.message = message
        self.id = id
        super().__init__(message or code)


ChannelName = Annotated[str, Field(min_length=1, max_length=64)]


class Request(BaseModel):
    """One message from a client."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)

    type: str
    id: RequestId | None = None


class Auth(Request):
    """The token: as the first message, or later to refresh it in place."""

    type: Literal["auth"] = "auth"
    token: Annotated[str, Field(repr=False)]


class Subscribe(Request):
    """Subscribe to ``channels``. A client that comes back resumes all its channels in one request."""

    type: Literal["subscribe"] = "subscribe"
    channels: Annotated[list[ChannelName], Field(min_length=1, max_length=CHANNELS)]
    filters: dict[str, Any] = {}  # channel -> filter; its own parser names what is wrong with it
    snapshot: Annotated[int, Field(ge=0, le=SNAPSHOT_ROWS)] | None = None
    since: str | None = None
    views: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: dict[str, Any]) -> dict[str, Any]:
        given = {name: field for name, field in value.items() if field is not None}
        for name in ("filters", "views"):
            if isinstance(field := given.get(name), dict):
                given[name] = {key: item for key, item in field.items() if item is not None}
        return given


class Unsubscribe(Request):
    """End these subscriptions."""

    type: Literal["unsubscribe"] = "unsubscribe"
    channels: Annotated[list[ChannelName], Field(min_length=1, max_length=CHANNELS)]


class Ping(Request):
    """Asks for ``pong``."""

    type: Literal["ping"] = "ping"


#: All of them, in the order of the documentation.
CLIENT_MESSAGES: tuple[type[Request], ...] = (Auth, Subscribe, Unsubscribe, Ping)

_BY_TYPE: Mapping[str, type[Request]] = {
    model.model_fields["type"].default: model for model in CLIENT_MESSAGES
}

#: What each field may hold, for whoever sent something else.
_MUST_BE: Mapping[str, str] = {
    "id": "a string of up to 128 characters, or an integer",
    "token": "a string",
    "channels": f"a list of 1 to {CHANNELS} channel names",
    "filters": "an object with a filter for each channel",
    "snapshot": f"an integer from 0 to {SNAPSHOT_ROWS}",
    "since": "a string: the cursor of a checkpoint",
    "views": "an object with the view of each channel, as subscribed told it",
}


def parse(text: bytes | str) -> Auth | Subscribe | Unsubscribe | Ping:
    """The request in one text message. Raises BadRequest, whose text names the field and never repeats a
    value."""
    try:
        value = jsontext.decode(text)
    except (ValueError, RecursionError, ArithmeticError):
        # Nesting deeper than the interpreter's stack, and exponents outside Decimal's range, are no JSON of
        # ours.
        raise BadRequest("not_json") from None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise BadRequest("malformed")
    kind = value["type"]
    id = value.get("id")
    known_id = id if isinstance(id, str | int) and not isinstance(id, bool) and len(str(id)) <= 128 else None
    model = _BY_TYPE.get(kind)
    if model is None:
        raise BadRequest("unknown_type", f"there is no message of type {_short(kind)}", id=known_id)
    try:
        return model.model_validate(value)  # type: ignore[return-value]  # one of the four, by construction
    except ValidationError as error:
        raise BadRequest("invalid_request", f"{kind}.{_complaint(error)}", id=known_id) from None


def subscribe(fields: Mapping[str, Any]) -> Subscribe:
    """A subscribe whose fields did not come as one message. Raises BadRequest, as :func:`parse` does."""
    try:
        return Subscribe.model_validate(fields)
    except ValidationError as error:
        raise BadRequest("invalid_request", _complaint(error)) from None


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = str(first["loc"][0])
    return f"{field} must be {_MUST_BE[field]}"


def _short(name: str) -> str:
    """A name that a client made up, cut so that an error message stays one short line."""
    return name if len(name) <= 40 else name[:40] + "…"
