"""The JSON Schema (draft 2020-12) of what a client can receive about some channels."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from relay.config import AggregateSettings, ChannelSettings, FieldSettings, PolicySettings
from relay.messages import frames
from relay.messages.aggregates import AGGREGATE_MESSAGES

__all__ = ["json_schema"]

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
            definitions[model.__name__] = _frame(model, definitions)
    messages = [name for name in definitions if name in {model.__name__ for model in frames.SERVER_MESSAGES}]
    policies = list(policies)
    for name, channel in channels.items():
        stem = _pascal(name)
        masked = {field for policy in policies if policy.granted([name]) for field in policy.mask}
        definitions[f"{stem}Row"] = _row(channel, masked)
        definitions[f"{stem}Change"] = _change(name, channel, f"#/$defs/{stem}Row")
        definitions[f"{stem}Snapshot"] = _snapshot(name, f"#/$defs/{stem}Row")
        messages += [f"{stem}Change", f"{stem}Snapshot"]
    for name, aggregate in (aggregates or {}).items():
        messages.append(f"{_pascal(name)}Numbers")
        schema = _frame(AGGREGATE_MESSAGES[aggregate.message], definitions)
        schema["properties"]["channel"] = {"const": name}
        definitions[messages[-1]] = schema
    return {
        "$schema": DIALECT,
        "title": "ServerMessage",
        "description": f"Everything the relay sends, protocol version {frames.PROTOCOL}.",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in messages],
        "$defs": definitions,
    }


def _frame(model: type[frames.Frame], definitions: dict[str, Schema]) -> Schema:
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


def _row(channel: ChannelSettings, masked: Collection[str]) -> Schema:
    shown = {name: field for name, field in channel.fields.items() if not field.hidden}
    properties = {name: _field(field, optional=name != "id") for name, field in shown.items()}
    for name in masked:
        if properties.get(name):
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


def _change(name: str, channel: ChannelSettings, row: str) -> Schema:
    actions = ["created", "updated", "deleted"]
    if channel.status:
        actions += list(channel.actions) or ["status_changed"]
    key = _field(channel.fields["id"], optional=False) if "id" in channel.fields else {}
    data: Schema = {
        "type": "object",
        "properties": {
            "action": {"enum": actions},
            channel.object: {
                "description": "What was deleted, or may not be seen any more, is its id alone.",
                "anyOf": [{"$ref": row}, {"type": "object", "properties": {"id": key}, "required": ["id"]}],
            },
            "changed": {"type": "array", "items": {"type": "string"}},
            "previous_status": {},
        },
        "required": ["action", channel.object],
    }
    return {
        "type": "object",
        "description": f"One change of a row of channel {name}.",
        "properties": {
            "type": {"const": channel.message},
            "channel": {"const": name},
            "id": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": data,
            "membership": {"enum": ["entered", "left"]},
        },
        "required": ["type", "channel", "id", "timestamp", "data"],
    }


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


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[_-]+", name) if part)
