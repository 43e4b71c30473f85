"""The values that were shown last, each with the version that changed it, so that a delta can be told from any version.

A client that is slow, or was asleep, needs no queue: what it has not been told yet is what changed since its version.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from relay import jsontext
from relay.config_aggregates import MESSAGE_CHARACTERS
from relay.routing.aggregates.engine import Values
from relay.routing.scan import clean_excerpt

__all__ = ["NOTHING", "Sheet"]

#: Whoever has nothing yet is at this version.
NOTHING = 0


class Sheet:
    """What one aggregate shows. ``version`` counts from 1 and grows with each update; ``as_of`` is of the last one."""

    def __init__(self, channel: str, message: str, values: Values, as_of: datetime) -> None:
        self.version = 1
        self.as_of = as_of
        self._channel = channel
        self._message = message
        self._values: dict[str, dict[str, Any]] = {name: _clean(section) for name, section in values.items()}
        self._changed = {(name, key): 1 for name, section in values.items() for key in section}

    @property
    def values(self) -> Values:
        """All of them."""
        return self._values

    def update(self, values: Values, as_of: datetime) -> None:
        """These are the values now. Even if none is another one, there is a new version: they hold for a later time."""
        self.version += 1
        self.as_of = as_of
        for name, section in values.items():
            known = self._values[name]
            for key, value in _clean(section).items():
                if known[key] != value:
                    known[key] = value
                    self._changed[name, key] = self.version

    def since(self, version: int) -> bytes:
        """The message for whoever has ``version``: the whole for NOTHING, else what changed since."""
        changed = [place for place, at in self._changed.items() if at > version]
        as_of = self.as_of.astimezone(UTC)
        return jsontext.encode(
            {
                "type": self._message,
                "channel": self._channel,
                # No event's id: it only has to be another one for every message.
                "id": f"{round(as_of.timestamp() * 1_000_000)}.{self.version}.{version}",
                "timestamp": as_of,
                "as_of": as_of,
                "complete": version == NOTHING,
                "data": self._data(changed),
            }
        )

    def _data(self, changed: list[tuple[str, str]]) -> Mapping[str, Any]:
        if "metrics" in self._values:
            data: dict[str, dict[str, Any]] = {"metrics": {}}
            for name, key in changed:
                data.setdefault(name, {})[key] = self._values[name][key]
            return data
        # An endpoint is small, and clients put the whole of it in the place of the one they have.
        return {**self._values, "changed": [key for _, key in changed]}


def _clean(section: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, after the last-line scan of the one value that is free text."""
    message = section.get("error_message_last")
    if message is None:
        return dict(section)
    return {**section, "error_message_last": clean_excerpt(message, MESSAGE_CHARACTERS) or None}
