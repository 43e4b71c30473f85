"""The messages of the hot path, as pure functions from values to bytes: data, ``withheld`` and ``checkpoint``.

They equal what the models in :mod:`relay.messages.frames` describe; building a model for each of them would cost
more than everything else that happens to an event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from relay import jsontext

__all__ = ["checkpoint", "data", "withheld"]


def data(
    *,
    type: str,
    channel: str,
    id: str,
    at: datetime,
    action: str,
    object: str,
    row: Mapping[str, Any],
    changed: Sequence[str] | None = None,
    previous_status: Any = None,
    membership: str | None = None,
) -> bytes:
    """One data message. ``row`` is in JSON form already; ``changed``, ``previous_status`` and ``membership`` are
    left out where None."""
    body: dict[str, Any] = {"action": action, object: row}
    if changed is not None:
        body["changed"] = changed
    if previous_status is not None:
        body["previous_status"] = previous_status
    message: dict[str, Any] = {
        "type": type,
        "channel": channel,
        "id": id,
        "timestamp": at if at.tzinfo is UTC else at.astimezone(UTC),
        "data": body,
    }
    if membership is not None:
        message["membership"] = membership
    return jsontext.encode(message)


def withheld(channel: str, id: str) -> bytes:
    """An event of ``channel`` that cannot be shown. ``id`` is the event's, as in a data message."""
    return jsontext.encode({"type": "withheld", "channel": channel, "id": id})


def checkpoint(cursor: str, as_of: datetime) -> bytes:
    """Everything committed before ``as_of`` has been sent."""
    return jsontext.encode({"type": "checkpoint", "cursor": cursor, "as_of": as_of.astimezone(UTC)})
