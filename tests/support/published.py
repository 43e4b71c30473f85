"""Holds every message that a test receives against the schema that ``relay schema`` publishes for its relay.

A relay is known by its port. Where none is known (a gateway with a pretended hub, a proxy) the frames of the protocol
are checked all the same, and what is said about rows is not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import fastjsonschema

from relay.config import Settings
from relay.messages import frames
from relay.messages.compat_schema import compat_schema
from relay.messages.schema import json_schema, pascal

__all__ = ["Published", "check", "forget", "publish"]

Frame = dict[str, Any]
Validate = Callable[[Any], Any]

_PROTOCOL = {model.model_fields["type"].default: model.__name__ for model in frames.SERVER_MESSAGES}
#: Compiling takes some milliseconds for each definition, and tests share few configurations.
_compiled: dict[str, dict[str, Validate]] = {}


class Published:
    """The two schemas of one configuration, compiled as far as they are needed."""

    def __init__(self, settings: Settings | None) -> None:
        channels = settings.channels if settings else {}
        aggregates = settings.aggregates if settings else {}
        policies = settings.policies if settings else ()
        self._schema = json_schema(channels, policies, aggregates)
        self._compat = compat_schema(channels, policies, aggregates)
        self._channels = {name: (each.message, each.object) for name, each in channels.items()}
        self._aggregates = {name: each.message for name, each in aggregates.items()}
        self._whole = settings is not None
        self._validators: tuple[dict[str, Validate], ...] = tuple(
            _compiled.setdefault(repr(schema), {}) for schema in (self._schema, self._compat)
        )

    def check(self, frame: Frame, *, compat: bool = False) -> None:
        """Raises AssertionError, which names the message's type and where in it something is not as published."""
        name = self._compat_definition(frame) if compat else self._definition(frame)
        if name is None:
            assert not self._whole, f"{frame.get('type')}: no published message has this type and channel"
            return
        try:
            self._validator(name, compat=compat)(frame)
        except fastjsonschema.JsonSchemaValueException as error:
            spot = ".".join(map(str, error.path[1:]))
            raise AssertionError(
                f"{frame['type']}: {spot} is not as {name} has it: {error.message}"
            ) from None

    def _definition(self, frame: Frame) -> str | None:
        type, channel = frame.get("type", ""), frame.get("channel", "")
        if type == "snapshot":
            return f"{pascal(channel)}Snapshot" if channel in self._channels else None
        if type in _PROTOCOL:
            return _PROTOCOL[type]
        if channel in self._aggregates:
            return f"{pascal(channel)}Numbers"
        if channel not in self._channels:
            return None
        _, object = self._channels[channel]
        if frame["data"].get("action") == "deleted":
            return f"{pascal(channel)}Deleted"
        if frame.get("membership") == "left" and set(frame["data"][object]) <= {"id"}:
            return f"{pascal(channel)}Left"
        return f"{pascal(channel)}Shown"

    def _compat_definition(self, frame: Frame) -> str | None:
        type = frame["type"]
        if type in ("error", "goodbye"):
            return _PROTOCOL[type]
        told = {message: name for name, (message, _) in self._channels.items()}
        told |= {message: name for name, message in self._aggregates.items()}
        return pascal(told[type]) if type in told else None

    def _validator(self, name: str, *, compat: bool) -> Validate:
        known = self._validators[compat]
        if name not in known:
            definitions = (self._compat if compat else self._schema)["$defs"]
            known[name] = fastjsonschema.compile({"$ref": f"#/$defs/{name}", "$defs": definitions})
        return known[name]


class _Relay:
    """What one relay publishes, now and before: a message may be read after the reload that it was sent before."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._seen: list[tuple[Settings, Published]] = []

    def check(self, frame: Frame, *, compat: bool) -> None:
        now = self._settings()
        if not self._seen or self._seen[-1][0] is not now:
            self._seen.append((now, Published(now)))
        try:
            self._seen[-1][1].check(frame, compat=compat)
        except AssertionError:
            for _, earlier in reversed(self._seen[:-1]):
                with contextlib.suppress(AssertionError):
                    earlier.check(frame, compat=compat)
                    return
            raise


_relays: dict[int, _Relay] = {}
_nobody = Published(None)


def publish(port: int, settings: Callable[[], Settings]) -> None:
    """The relay on ``port`` has these settings until it is forgotten."""
    _relays[port] = _Relay(settings)


def forget(port: int) -> None:
    """There is no such relay any more; somebody else may get the port."""
    _relays.pop(port, None)


def check(port: int, path: str, frame: Frame) -> None:
    """Raises AssertionError if ``frame``, read from a socket to ``port`` and ``path``, is not as published."""
    compat = path.startswith("/ws/admin/")
    if (relay := _relays.get(port)) is not None:
        relay.check(frame, compat=compat)
    else:
        _nobody.check(frame, compat=compat)
