"""The compatibility profile: what the relay says, in the words of dashboards that were written before it.

Those pages know six types of message, each ``{type, data, timestamp}`` and nothing around it. They have no snapshot, no
resync and no deletion; they prepend what is ``created`` and replace what is ``updated``, if they know its id. So:

* a snapshot becomes a ``created`` and an ``updated`` for each row, oldest first: who does not know the row takes the
  first, who does takes the second. Webhook events are not repeated, for those lists do not look at ids;
* a row that comes into sight does the same; a row that goes, by deletion or out of scope, is not mentioned;
* what else a message of today says about a change is left out;
* what those pages take apart without a look is always there, empty where there is no value or a mask has taken it away.

This file can go when the last of those pages has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from relay import jsontext

__all__ = ["TYPES", "Dialect", "Shape", "actions", "always"]

#: The types those pages know; ``error`` and ``goodbye`` they ignore, and people see them in the browser's tools.
TYPES = (
    "metrics_update",
    "transaction_update",
    "webhook_status",
    "webhook_event",
    "fraud_alert",
    "dispute_update",
)
_ALWAYS = ("error", "goodbye")
#: Actions that a type has besides created and updated. Others are told as ``updated``.
_ACTIONS = {
    "transaction_update": ("status_changed",),
    "fraud_alert": ("resolved",),
    "dispute_update": ("evidence_required", "resolved"),
}

#: What those pages take apart without a look, and what they are given where there is no value or a mask leaves none.
_WHOSE = {"payment_intent_id": "", "customer_email": ""}
_INSTEAD: Mapping[str, Mapping[str, Any]] = {
    "transaction_update": {**_WHOSE, "metadata": {}},
    "fraud_alert": {**_WHOSE, "amount": "0.00", "metadata": {}},
    "dispute_update": _WHOSE,
}

#: Of a channel: the type of its messages, and the key of the row in their data.
Shape = tuple[str, str]


def actions(type: str) -> tuple[str, ...]:
    """The actions that a page knows for a type of message."""
    return ("created", "updated", *_ACTIONS.get(type, ()))


def always(type: str) -> Mapping[str, Any]:
    """The fields that a row in a message of this type always has, with what they are where there is nothing to show."""
    return _INSTEAD.get(type, {})


class Dialect:
    """Translates for the channels whose shapes it was made with. ``now`` gives the time of a snapshot, as ISO 8601."""

    def __init__(self, shapes: Mapping[str, Shape], now: Callable[[], str]) -> None:
        self._shapes = dict(shapes)
        self._now = now

    def translate(self, messages: Iterable[bytes]) -> tuple[bytes, ...]:
        """``messages`` as an old page should get them: fewer, more, or none."""
        return tuple(jsontext.encode(said) for each in messages for said in self._say(jsontext.decode(each)))

    def _say(self, frame: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
        type = frame["type"]
        if type in _ALWAYS:
            yield frame
        elif type == "snapshot":
            yield from self._fill(frame)
        elif type in TYPES:
            yield from self._change(frame)

    def _fill(self, frame: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
        type, object = self._shapes.get(frame["channel"], ("", ""))
        if type not in TYPES or type == "webhook_event":
            return
        at = self._now()
        for row in reversed(frame["rows"]):
            yield from _appear(type, object, row, at)

    def _change(self, frame: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
        type, data = frame["type"], frame["data"]
        at = frame.get("timestamp") or frame.get("as_of") or self._now()
        if "action" not in data:
            yield {"type": type, "data": data, "timestamp": at}  # an aggregate
            return
        _, object = self._shapes[frame["channel"]]
        action, membership = data["action"], frame.get("membership")
        if action == "deleted" or membership == "left":
            return
        if type == "webhook_event":
            yield {"type": type, "data": data[object], "timestamp": at}
        elif membership == "entered":
            yield from _appear(type, object, data[object], at)
        else:
            told = action if action in actions(type) else "updated"
            yield _envelope(type, object, data[object], told, at)


def _appear(type: str, object: str, row: Any, at: str) -> Iterator[Mapping[str, Any]]:
    yield _envelope(type, object, row, "created", at)
    yield _envelope(type, object, row, "updated", at)


def _envelope(type: str, object: str, row: Any, action: str, at: str) -> Mapping[str, Any]:
    row = {**row, **{name: instead for name, instead in always(type).items() if row.get(name) is None}}
    return {"type": type, "data": {object: row, "action": action}, "timestamp": at}
