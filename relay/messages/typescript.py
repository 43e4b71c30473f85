"""TypeScript declarations from a JSON Schema, as far as :mod:`relay.messages.schema` uses JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["typescript"]

Schema = Mapping[str, Any]

_SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def typescript(schema: Schema) -> str:
    """One exported declaration for each entry of ``$defs``, and one for the whole under its title."""
    parts = [_declare(name, definition) for name, definition in schema["$defs"].items()]
    parts.append(_declare(schema["title"], schema))
    return "\n".join(parts)


def _declare(name: str, schema: Schema) -> str:
    comment = _comment(schema, "")
    if "properties" in schema:
        return f"{comment}export interface {name} {_object(schema, '')}\n"
    return f"{comment}export type {name} = {_type(schema, '')};\n"


def _comment(schema: Schema, indent: str) -> str:
    text = " ".join(str(schema.get("description", "")).replace("*/", "* /").split())
    return f"{indent}/** {text} */\n" if text else ""


def _object(schema: Schema, indent: str) -> str:
    inner = indent + "  "
    lines = []
    for name, field in schema["properties"].items():
        optional = "" if name in schema.get("required", ()) else "?"
        key = name if re.fullmatch(r"[A-Za-z_$][\w$]*", name) else json.dumps(name)
        lines.append(f"{_comment(field, inner)}{inner}{key}{optional}: {_type(field, inner)};\n")
    return "{\n" + "".join(lines) + indent + "}"


def _type(schema: Schema, indent: str) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(option, indent) for option in schema["anyOf"]))
    kind = schema.get("type")
    if kind == "array":
        item = _type(schema.get("items", {}), indent)
        return f"({item})[]" if " | " in item else f"{item}[]"
    if kind == "object":
        if "properties" in schema:
            return _object(schema, indent)
        values = schema.get("additionalProperties")
        return f"Record<string, {_type(values, indent) if isinstance(values, Mapping) else 'unknown'}>"
    return _SCALARS.get(str(kind), "unknown")
