"""Presets: channels and aggregates that come with the relay, under what a config says itself.

Tables go into each other down to a channel's fields and look-ups and an aggregate's parts. What stands there is taken
as a whole, for half of a look-up from here and half from there would be neither; ``false`` takes it away.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from relay.errors import ConfigError
from relay.resources import presets_directory

__all__ = ["PRESETS", "Preset", "put_under"]

_Path = tuple[str, ...]

#: By name, the file.
PRESETS: Mapping[str, Path] = {path.stem: path for path in sorted(presets_directory().glob("*.toml"))}

#: How deep tables go into each other: below ``channels.NAME.fields`` and ``aggregates.NAME.PART`` nothing does.
_MERGED = re.compile(r"channels(\.[^.]+(\.(fields|lookups))?)?|aggregates(\.[^.]+(\.[^.]+)?)?")


@dataclass(frozen=True)
class Preset:
    """A preset in use. ``taken`` are the paths of what a config left as it is there, ``tables`` those it is about."""

    name: str
    taken: frozenset[_Path] = frozenset()
    tables: frozenset[str] = field(default=frozenset(), repr=False)

    def has(self, path: tuple[str | int, ...]) -> bool:
        """Whether what is at ``path`` comes from the preset."""
        return any(path[:length] in self.taken for length in range(1, len(path) + 1))

    def behind(self, message: str) -> bool:
        """Whether an error speaks of something that comes from the preset: a setting by its path, or a table."""
        words = re.findall(r"\w+(?:\.\w+)+", message)
        spoken = {*words, *(word.rpartition(".")[0] for word in words)}
        return not self.tables.isdisjoint(spoken) or any(self.has(tuple(word.split("."))) for word in words)


def put_under(data: dict[str, Any], name: Any) -> Preset | None:
    """Put the preset ``name`` under ``data``, in place; what is no name is left to the tree of settings to refuse.

    Raises ConfigError for one that there is not.
    """
    if not name or not isinstance(name, str):
        return None
    if name not in PRESETS:
        close = get_close_matches(name, PRESETS, n=1)
        advice = f'did you mean "{close[0]}"?' if close else f"there is {', '.join(PRESETS)}"
        raise ConfigError(f'preset is "{name}", which there is not; {advice}')
    taken: dict[_Path, Any] = {}
    _merge(data, _read(name), (), taken)
    tables = {value for path, value in taken.items() if path[-1] == "table"}
    tables |= {table for path, value in taken.items() if "lookups" in path for table in value["reads"]}
    return Preset(name, frozenset(taken), frozenset(tables))


def _merge(own: dict[str, Any], preset: Mapping[str, Any], path: _Path, taken: dict[_Path, Any]) -> None:
    for key, value in preset.items():
        here = (*path, key)
        mine = own.get(key)
        if mine is False and isinstance(value, Mapping):
            del own[key]
        elif _MERGED.fullmatch(".".join(here)) and (mine is None or isinstance(mine, dict)):
            own[key] = inner = dict(mine or {})
            _merge(inner, value, here, taken)
        elif mine is None:
            own[key] = taken[here] = value


@cache
def _read(name: str) -> Mapping[str, Any]:
    # Decimal, as in a config: see relay.config_load.
    return tomllib.loads(PRESETS[name].read_text(encoding="utf-8"), parse_float=Decimal)
