"""The JSON Schema of what the dashboards from before the relay are sent: see :mod:`relay.messages.compat`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from relay.config import AggregateSettings, ChannelSettings, PolicySettings
from relay.messages import frames
from relay.messages.aggregates import AGGREGATE_MESSAGES
from relay.messages.compat import TYPES, actions, always
from relay.messages.schema import DIALECT, Schema, frame_schema, masks_of, pascal, row_schema

__all__ = ["compat_schema"]


def compat_schema(
    channels: Mapping[str, ChannelSettings],
    policies: Iterable[PolicySettings] = (),
    aggregates: Mapping[str, AggregateSettings] | None = None,
) -> Schema:
    """One schema that every message on the paths of old dashboards satisfies, of those channels that they know."""
    definitions: dict[str, Schema] = {}
    for model in (frames.Error, frames.Goodbye):
        definitions[model.__name__] = frame_schema(model, definitions)
    messages = list(definitions)
    policies = list(policies)
    for name, channel in channels.items():
        if channel.message in TYPES:
            stem = pascal(name)
            shown = row_schema(channel, masks_of(name, policies))
            for field, instead in always(channel.message).items():
                absent = {"type": "string"} if isinstance(instead, str) else {"type": "object"}
                shown["properties"][field] = _not_null(shown["properties"].get(field, absent))
            needed = {*shown["required"], *always(channel.message)}
            shown["required"] = [each for each in shown["properties"] if each in needed]
            definitions[f"{stem}Row"] = shown
            row: Schema = {"$ref": f"#/$defs/{stem}Row"}
            if channel.message != "webhook_event":
                row = _object({"action": {"enum": list(actions(channel.message))}, channel.object: row})
            messages.append(stem)
            definitions[stem] = _envelope(f"A row of channel {name}.", channel.message, row)
    for name, aggregate in (aggregates or {}).items():
        stem = pascal(name)
        numbers = frame_schema(AGGREGATE_MESSAGES[aggregate.message], definitions)
        messages.append(stem)
        definitions[stem] = _envelope(
            numbers["description"], aggregate.message, numbers["properties"]["data"]
        )
    return {
        "$schema": DIALECT,
        "title": "OldMessage",
        "description": "Everything the relay sends to dashboards that were written before it.",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in messages],
        "$defs": definitions,
    }


def _not_null(schema: Schema) -> Schema:
    options = [option for option in schema.get("anyOf", [schema]) if option != {"type": "null"}]
    return options[0] if len(options) == 1 else {"anyOf": options}


def _envelope(description: str, type: str, data: Schema) -> Schema:
    at = {"type": "string", "format": "date-time"}
    return {"description": description, **_object({"type": {"const": type}, "data": data, "timestamp": at})}


def _object(properties: Schema) -> Schema:
    # Nothing else: who reads this cannot be told of anything new.
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
