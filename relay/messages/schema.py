"""The JSON Schema (draft 2020-12) of what a client can receive about some channels."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from relay.config import AggregateSettings, ChannelSettings, FieldSettings, PolicySettings
from relay.messages import frames
from relay.messages.aggregates import AGGREGATE_MESSAGES

__all__ = ["DIALECT", "Schema", "frame_schema", "json_schema", "masks_of", "pascal", "row_schema"]

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: What a field's declared type looks like in JSON. Decimals are strings: a JSON number would become a binary
#: float.
_TYPES: Mapping[str, Schema] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "decimal": {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time"},
    "json": {},
}


def json_schema(
    channels: Mapping[str, ChannelSettings],
    policies: Iterable[PolicySettings] = (),
    aggregates: Mapping[str, AggregateSettings] | None = None,
) -> Schema:
    """One schema that every message about ``channels`` and ``aggregates`` satisfies; each has a name under ``$defs``.

    It is for everybody: a field that one of ``policies`` masks may be text, or missing. A field without a
    declared type takes the type of its database column, which is not known here: anything goes. Unknown
    properties are allowed everywhere, because later versions may add some.
    """
    definitions: dict[str, Schema] = {}
    for model in frames.SERVER_MESSAGES:
        if model not in (frames.Data, frames.Snapshot):
            definitions[model.__name__] = frame_schema(model, definitions)
    messages = [name for name in definitions if name in {model.__name__ for model in frames.SERVER_MESSAGES}]
    policies = list(policies)
    for name, channel in channels.items():
        stem = pascal(name)
        masked = masks_of(name, policies)
        definitions[f"{stem}Row"] = row_schema(channel, masked)
        definitions |= _changes(name, stem, channel)
        definitions[f"{stem}Snapshot"] = _snapshot(name, f"#/$defs/{stem}Row")
        messages += [f"{stem}Change", f"{stem}Snapshot"]
    for name, aggregate in (aggregates or {}).items():
        messages.append(f"{pascal(name)}Numbers")
        schema = frame_schema(AGGREGATE_MESSAGES[aggregate.message], definitions)
        schema["properties"]["channel"] = {"const": name}
        definitions[messages[-1]] = schema
    return {
        "$schema": DIALECT,
        "title": "ServerMessage",
        "description": f"Everything the relay sends, protocol version {frames.PROTOCOL}.",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in messages],
        "$defs": definitions,
    }


def frame_schema(model: type[frames.Frame], definitions: dict[str, Schema]) -> Schema:
    """A frame's own schema; what it refers to is added to ``definitions``."""
    schema = model.model_json_schema(mode="serialization", ref_template="#/$defs/{model}")
    definitions |= {name: _plain(inner) for name, inner in schema.pop("$defs", {}).items()}
    return _plain(schema)


def _plain(schema: Schema) -> Schema:
    """A model's schema without titles and defaults; a field that is None by default is absent from the message."""
    required = set(schema.get("required", ()))
    properties = {}
    for name, field in schema.get("properties", {}).items():
        if field.get("default") is not None:  # always sent
            required.add(name)
        absent = "default" in field
        field = {key: value for key, value in field.items() if key not in ("title", "default")}
        options = [option for option in field.get("anyOf", ()) if not absent or option != {"type": "null"}]
        if options:
            field = options[0] if len(options) == 1 else {**field, "anyOf": options}
        properties[name] = field
    description = schema.get("description", "").replace("``", "`")
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [name for name in properties if name in required],
    }


def masks_of(channel: str, policies: Iterable[PolicySettings]) -> dict[str, set[str]]:
    """By field of a channel, the masks that there are over it."""
    found: dict[str, set[str]] = {}
    for policy in policies:
        if policy.granted([channel]):
            for name, mask in policy.mask.items():
                found.setdefault(name, set()).add(mask)
    return found


def row_schema(channel: ChannelSettings, masked: Mapping[str, Collection[str]]) -> Schema:
    """One row of a channel. ``masked`` are the masks over some of its fields: see :func:`masks_of`."""
    shown = {name: field for name, field in channel.fields.items() if not field.hidden}
    properties = {name: _field(field, optional=name != "id") for name, field in shown.items()}
    for name, masks in masked.items():
        if properties.get(name) and set(masks) != {"drop"}:
            properties[name] = _or_text(properties[name])
    return {
        "type": "object",
        "description": f"One row of {channel.table}.",
        "properties": properties,
        "required": [name for name in shown if name not in masked],
    }


def _or_text(schema: Schema) -> Schema:
    options = schema.get("anyOf", [schema])
    return schema if {"type": "string"} in options else {"anyOf": [*options, {"type": "string"}]}


def _field(field: FieldSettings, *, optional: bool) -> Schema:
    if field.constant is not None:
        # A decimal of the config file: which JSON type it leaves as is the declared type's business.
        return {"const": field.constant} if isinstance(field.constant, str | bool | int) else {}
    schema = dict(_TYPES[field.type]) if field.type else {"type": "string"} if field.map else {}
    if field.keys:
        schema = {"type": "object", "properties": {key: {} for key in field.keys}}
    if schema and optional and field.default is None and not field.required:
        schema = {"anyOf": [schema, {"type": "null"}]}
    return schema


def _changes(name: str, stem: str, channel: ChannelSettings) -> dict[str, Schema]:
    """A change as what it is one of: a row that is shown, one that was deleted, one that may not be seen any more."""
    whole: Schema = {"$ref": f"#/$defs/{stem}Row"}
    key = _field(channel.fields["id"], optional=False) if "id" in channel.fields else {}
    alone: Schema = {
        "type": "object",
        "description": "Of what has gone, the id alone.",
        "properties": {"id": key},
        "required": ["id"] if "id" in channel.fields else [],
    }
    actions = ["created", "updated"]
    if channel.status:
        actions += list(channel.actions) or ["status_changed"]
    kinds = {
        "Shown": (
            f"A row of channel {name} as it is now.",
            whole,
            {"enum": actions},
            {"enum": ["entered", "left"]},
        ),
        "Deleted": (f"A row of channel {name} was deleted.", alone, {"const": "deleted"}, None),
        "Left": (
            f"A row of channel {name} may not be seen any more.",
            alone,
            {"const": "updated"},
            {"const": "left"},
        ),
    }
    found: dict[str, Schema] = {}
    for kind, (description, row, action, membership) in kinds.items():
        data: Schema = {
            "type": "object",
            "properties": {"action": action, channel.object: row},
            "required": ["action", channel.object],
        }
        if kind == "Shown":
            data["properties"] |= {
                "changed": {"type": "array", "items": {"type": "string"}},
                "previous_status": {},
            }
        properties: Schema = {
            "type": {"const": channel.message},
            "channel": {"const": name},
            "id": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": data,
        }
        if membership is not None:
            properties["membership"] = membership
        required = [each for each in properties if each != "membership" or kind == "Left"]
        found[stem + kind] = {
            "type": "object",
            "description": description,
            "properties": properties,
            "required": required,
        }
    found[f"{stem}Change"] = {
        "description": f"One change of a row of channel {name}.",
        "anyOf": [{"$ref": f"#/$defs/{stem}{kind}"} for kind in kinds],
    }
    return found


def _snapshot(name: str, row: str) -> Schema:
    return {
        "type": "object",
        "description": f"Rows of channel {name} as they are now; truncated says that more may match.",
        "properties": {
            "type": {"const": "snapshot"},
            "channel": {"const": name},
            "rows": {"type": "array", "items": {"$ref": row}},
            "truncated": {"type": "boolean"},
        },
        "required": ["type", "channel", "rows", "truncated"],
    }


def pascal(name: str) -> str:
    """The name of a channel as the beginning of a type's name."""
    return "".join(part.capitalize() for part in re.split(r"[_-]+", name) if part)
