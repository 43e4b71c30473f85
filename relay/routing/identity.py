"""What names a row when nothing else of it may be said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.routing.channel import Channel
from relay.routing.event import PreparedEvent

__all__ = ["identity"]


def identity(channel: Channel, event: PreparedEvent) -> Mapping[str, Any]:
    """The visible fields that show the row's primary key, in JSON form; else its field ``id``, if there is one."""
    key = event.key or {}
    shown = {
        each.column: each.name
        for each in channel.fields.values()
        if each.column in key and not each.hidden and not each.map
    }
    row = event.old if event.old is not None else event.new
    if row is not None:
        names = list(shown.values()) or [name for name in ("id",) if name in channel.visible]
        return {name: channel.projection.shown(name, row) for name in names}
    # The row is not to be had, but its key is: a string or number, which leaves as the field would have it.
    texts = ("string", "bigint", "decimal")
    return {
        name: str(key[column]) if channel.fields[name].kind.name in texts else key[column]
        for column, name in shown.items()
    }
