"""Reading settings: one TOML file, a preset under it, the environment over it, and one line if anything is wrong.

Nothing here knows a key by name. The shape comes from the pydantic model that is passed in, so the tree in
:mod:`relay.config` stays the only place where settings are declared.
"""

from __future__ import annotations

import json
import tomllib
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from relay.config_preset import Preset
from relay.errors import ConfigError

__all__ = ["PREFIX", "read"]

#: Variables ``RELAY_SECTION__KEY`` override the file.
PREFIX = "RELAY_"

#: First word of pydantic's error types for "this is another type" -> what a person would write instead.
_WANTED = {
    "int": "must be an integer",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be a string",
    "tuple": "must be a list",
    "mapping": "must be a table",
    "dict": "must be a table",
    "model": "must be a table",
}

Model = TypeVar("Model", bound=BaseModel)
Path_ = tuple[str | int, ...]


def read(
    model: type[Model],
    path: Path | None,
    environ: Mapping[str, str],
    under: Callable[[dict[str, Any]], Preset | None] = lambda data: None,
) -> Model:
    """One validated ``model`` from the file at ``path`` (None: no file) and ``environ``. ``under`` is given what the
    file says and puts the preset that it names under it.

    Raises ConfigError: one line with the key as a TOML path, its origin, what is wrong and what to do.
    """
    source = str(path) if path is not None else "environment"
    data = _read_file(path) if path is not None else {}
    try:
        preset = under(data)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    variables = _overlay(model, data, environ)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _explain(error, model, source, variables, preset) from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        # Decimal, because a constant of 12.50 in the file must not become 12.5 on a dashboard.
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no config file {path}; name yours with --config or RELAY_CONFIG, "
            f"or begin one with: relay install --example-config > {path}"
        ) from None
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise ConfigError(
            f"the config file {path} cannot be read ({reason}); check its path and permissions"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"the config file {path} is not UTF-8 text; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        why = " ".join(str(error).split())
        raise ConfigError(f"the config file {path} is not valid TOML: {why}; correct that line") from None


def _overlay(model: type[BaseModel], data: dict[str, Any], environ: Mapping[str, str]) -> dict[Path_, str]:
    """Put the variables into ``data``; returns which variable each overridden path came from.

    A variable without ``__`` that is no section is left alone: Kubernetes sets RELAY_PORT for a service named
    relay. One with ``__`` was meant for us, so a wrong name in it is an error.
    """
    origin: dict[Path_, str] = {}
    for name in sorted(
        environ
    ):  # RELAY_AUTH comes before RELAY_AUTH__ISSUER, so the longer name refines the shorter
        if not name.startswith(PREFIX):
            continue
        parts = name.removeprefix(PREFIX).lower().split("__")
        if len(parts) == 1 and parts[0] not in model.model_fields:
            continue
        table, kind = data, typing.cast(Any, model)
        path: list[str | int] = []
        for part in parts[:-1]:
            key = _spelled(part, table, kind)
            kind = _member(kind, key)
            path.append(key)
            inner = table.get(key)
            table[key] = table = dict(inner) if isinstance(inner, Mapping) else {}
        key = _spelled(parts[-1], table, kind)
        table[key] = _value(environ[name], _member(kind, key), name)
        origin[*path, key] = name
    return origin


def _spelled(part: str, table: Mapping[str, Any], kind: Any) -> str:
    """The key of ``table`` that ``part`` means: variables have no case, keys that the user chose may."""
    if _is_model(kind):
        return part
    return next((key for key in table if key.lower() == part), part)


def _value(text: str, kind: Any, name: str) -> Any:
    """``text`` as the kind of value its key wants: JSON for lists and tables, plain text for all else."""
    origin = typing.get_origin(kind)
    if origin is tuple and not text.lstrip().startswith("["):
        return [text] if text else []
    if origin is tuple or _is_model(kind) or origin in (Mapping, dict):
        try:
            return json.loads(text, parse_float=Decimal)
        except ValueError:
            raise ConfigError(
                f"environment variable {name} must hold JSON; write lists and tables as JSON"
            ) from None
    if kind is Any:
        try:
            return json.loads(text, parse_float=Decimal)
        except ValueError:
            return text
    return text


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _member(kind: Any, key: str | int) -> Any:
    """The declared type of ``key`` inside ``kind``; None where nothing is declared."""
    if _is_model(kind):
        field = kind.model_fields.get(key)
        return None if field is None else _bare(field.annotation)
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple and isinstance(key, int):
        return _bare(arguments[0])
    return _bare(arguments[1]) if len(arguments) == 2 and isinstance(key, str) else None


def _bare(kind: Any) -> Any:
    """``kind`` without Annotated and without None."""
    if typing.get_origin(kind) is typing.Annotated:
        return _bare(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (typing.Union, UnionType):
        rest = [each for each in typing.get_args(kind) if each is not NoneType]
        return _bare(rest[0]) if len(rest) == 1 else kind
    return kind


def _explain(
    error: ValidationError,
    model: type[BaseModel],
    source: str,
    variables: Mapping[Path_, str],
    preset: Preset | None,
) -> ConfigError:
    """The first fault as one line; an unknown key goes first, for it is often why another one is missing."""
    faults = sorted(
        error.errors(include_url=False, include_input=False), key=lambda f: f["type"] != "extra_forbidden"
    )
    fault = faults[0]
    path: Path_ = fault["loc"]
    spot = _dotted(path)
    parent: Any = model
    for key in path[:-1]:
        parent = _member(parent, key)
    name = next((variables[path[:n]] for n in range(len(path), 0, -1) if path[:n] in variables), None)
    if name is None and fault["type"] == "extra_forbidden":  # the unknown key is a table that a variable made
        name = next((each for other, each in variables.items() if other[: len(path)] == path), None)
    if fault["type"] == "extra_forbidden":
        line = f"{spot} is no setting; {_nearest(str(path[-1]), parent, path[:-1], model)}"
    elif fault["type"] == "missing":
        if _is_model(
            kind := _member(parent, path[-1])
        ):  # a whole table: name the key in it that has no default
            path = (*path, next(key for key, field in kind.model_fields.items() if field.is_required()))
            spot = _dotted(path)
        variable = (
            "" if any(isinstance(part, int) for part in path) else PREFIX + "__".join(map(str, path)).upper()
        )
        line = f"{spot} is missing; set it in the config file" + (f" or as {variable}" if variable else "")
    elif "error" in fault.get("ctx", {}):  # one of our own validators: its message carries the remedy already
        line = f"{spot} {fault['ctx']['error']}" if spot else str(fault["ctx"]["error"])
    else:
        line = f"{spot} {_plainly(fault['type'], fault['msg'])}; {_default(parent, path)}"
    more = f" (and {len(faults) - 1} more to correct)" if len(faults) > 1 else ""
    if name:
        source = f"environment variable {name}"
    elif preset is not None and preset.has(path):
        source = f"preset {preset.name}"
    return ConfigError(f"{source}: {line}{more}")


def _plainly(kind: str, message: str) -> str:
    """What is wanted, in the words of a TOML file rather than of Python types."""
    if kind in ("string_too_short", "too_short"):  # every least length in the tree is one
        return "must not be empty"
    wanted = (
        _WANTED.get(kind.partition("_")[0]) if kind.endswith(("_type", "_parsing", "_from_float")) else None
    )
    return wanted or message.removeprefix("Input ").replace("should", "must", 1)


def _dotted(path: Path_) -> str:
    """A TOML path, ``channels.orders.fields.amount.type``; entries of arrays count from 1."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _nearest(key: str, parent: Any, path: Path_, model: type[BaseModel]) -> str:
    known = list(parent.model_fields) if _is_model(parent) else []
    close = get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    homes = [
        name
        for name, field in model.model_fields.items()
        if key in getattr(field.annotation, "model_fields", {})
    ]
    if homes:
        return f"it belongs in [{homes[0]}]"
    return f"known in {_dotted(path) or 'the config'}: {', '.join(known)}"


def _default(parent: Any, path: Path_) -> str:
    field = parent.model_fields.get(path[-1]) if _is_model(parent) and path else None
    if field is None or field.is_required():
        return "see docs/configuration.md for what it takes"
    default = field.get_default(call_default_factory=True)
    shown = json.dumps(default) if isinstance(default, (bool, int, float, str)) else "empty"
    return f"leave it out for the default, {shown}"
