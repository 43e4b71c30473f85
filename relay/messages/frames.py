"""Every message the relay sends, as a declared type: the server's half of the wire protocol.

``encode()`` gives the JSON text of one message in UTF-8. Fields that are None are left out, so an absent
field and a null one never mean different things. Timestamps are ISO 8601 in UTC with ``Z``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from relay import jsontext
from relay.messages.codes import CODES

__all__ = [
    "PROTOCOL",
    "SERVER_MESSAGES",
    "CaptureStatus",
    "Checkpoint",
    "Data",
    "Error",
    "Frame",
    "Goodbye",
    "Pong",
    "Recount",
    "RequestId",
    "Resync",
    "Snapshot",
    "Subscribed",
    "SubscribedChannel",
    "TokenExpiring",
    "Unsubscribed",
    "Welcome",
    "Withheld",
]

#: The version of the wire protocol that this module speaks.
PROTOCOL = 1

#: What a client gives a request to recognise its answer: echoed as it came.
RequestId = Annotated[str, Field(max_length=128)] | Annotated[int, Field(ge=-(2**53), le=2**53)]

#: A moment, written in UTC whatever zone it came in.
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class Frame(BaseModel):
    """One message from the server. Every subclass has a constant ``type``, except data messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str

    def encode(self) -> bytes:
        """The JSON text of this message."""
        return jsontext.encode({name: value for name, value in self.__dict__.items() if value is not None})


class Welcome(Frame):
    """The token was accepted. Sent again after every refresh. ``cursor`` is information only: never resume
    from it."""

    type: Literal["welcome"] = "welcome"
    protocol: int = PROTOCOL
    connection: str
    subject: str
    channels: Sequence[str]
    expires_at: Moment
    heartbeat_seconds: float
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class SubscribedChannel:
    """One channel of ``subscribed``. Keep ``view`` and bring it back with ``since``."""

    filter: Mapping[str, Any]
    view: str
    resumed: bool
    replayed: int


class Subscribed(Frame):
    """These subscriptions hold from here on; ``resumed`` false is followed by ``resync`` or a snapshot."""

    type: Literal["subscribed"] = "subscribed"
    id: RequestId | None = None
    channels: Mapping[str, SubscribedChannel]


class Unsubscribed(Frame):
    """These subscriptions have ended, on request or because they are not granted any more."""

    type: Literal["unsubscribed"] = "unsubscribed"
    id: RequestId | None = None
    channels: Sequence[str]
    reason: str


class Snapshot(Frame):
    """Rows of one channel as they are now. ``truncated``: more rows may match."""

    type: Literal["snapshot"] = "snapshot"
    channel: str
    rows: Sequence[Mapping[str, Any]]
    truncated: bool


class Data(Frame):
    """One change of one row. ``type`` is the channel's ``message``, ``row_change`` unless the configuration
    says else.

    ``data`` holds ``action``, the row under the channel's ``object`` key, and where they apply ``changed``
    and ``previous_status``. ``membership`` says that the row crossed the subscriber's filter.
    """

    channel: str
    id: str
    timestamp: Moment
    data: Mapping[str, Any]
    membership: Literal["entered", "left"] | None = None


class Withheld(Frame):
    """A row of this channel could not be read and is not shown; operators know."""

    type: Literal["withheld"] = "withheld"
    channel: str
    id: str


class Checkpoint(Frame):
    """Everything committed before ``as_of`` has been sent. The one message whose cursor a client may keep."""

    type: Literal["checkpoint"] = "checkpoint"
    cursor: str
    as_of: Moment


class Resync(Frame):
    """Forget these channels, de-duplication memory included: a snapshot follows."""

    type: Literal["resync"] = "resync"
    channels: Sequence[str]
    reason: str


class Recount(Frame):
    """The numbers of this aggregate are being counted: what was sent of it is out of date, and a whole one follows."""

    type: Literal["recount"] = "recount"
    channel: str
    reason: str


class CaptureStatus(Frame):
    """Whether the relay hears the database. While degraded, what is shown is complete only up to the last
    ``as_of``."""

    type: Literal["capture_status"] = "capture_status"
    status: Literal["ok", "degraded"]
    since: Moment
    reason: str | None = None


class TokenExpiring(Frame):
    """The token ends soon: send ``auth`` with a fresh one, or the connection ends then (4001)."""

    type: Literal["token_expiring"] = "token_expiring"
    expires_at: Moment


class Error(Frame):
    """Something the client did was refused. ``code`` is one of those in docs/protocol.md."""

    type: Literal["error"] = "error"
    code: str
    message: str
    retryable: bool
    id: RequestId | None = None
    channel: str | None = None

    @classmethod
    def of(
        cls,
        code: str,
        message: str | None = None,
        *,
        id: RequestId | None = None,
        channel: str | None = None,
    ) -> Error:
        """The error ``code`` with its text from the table of codes unless ``message`` says it more
        exactly."""
        row = CODES[code]
        return cls(code=code, message=message or row.message, retryable=row.retryable, id=id, channel=channel)


class Goodbye(Frame):
    """The connection ends for a reason that is not the client's fault. Come back after ``retry_after_ms``."""

    type: Literal["goodbye"] = "goodbye"
    code: str
    reason: str
    retry_after_ms: int

    @classmethod
    def of(cls, code: str, retry_after_ms: int) -> Goodbye:
        """The goodbye ``code`` with its text from the table of codes."""
        return cls(code=code, reason=CODES[code].message, retry_after_ms=retry_after_ms)


class Pong(Frame):
    """The answer to ``ping``, with its id."""

    type: Literal["pong"] = "pong"
    id: RequestId | None = None


#: All of them, in the order of the documentation.
SERVER_MESSAGES: tuple[type[Frame], ...] = (
    Welcome,
    Subscribed,
    Unsubscribed,
    Snapshot,
    Data,
    Withheld,
    Checkpoint,
    Resync,
    Recount,
    CaptureStatus,
    TokenExpiring,
    Error,
    Goodbye,
    Pong,
)
