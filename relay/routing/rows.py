"""From a captured image to a validated row: every declared field, hidden ones too, as a Python value.

A row is a plain dict. Validation is one call into pydantic with a typed dict built from the channel's fields; the
assembly before it is written for speed, since it happens twice for every update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from relay.errors import RowInvalid
from relay.routing.channel import Channel, Field, Lookup

__all__ = ["LOOKUP_FAILED", "Resolve", "RowBuilder"]

#: What a look-up gave for a key: the result's columns, None for no result, LOOKUP_FAILED if the query failed.
Found = Mapping[str, Any] | None
Resolve = Callable[[Lookup, Any], Found]

LOOKUP_FAILED: Mapping[str, Any] = {}


class RowBuilder:
    """Makes rows of one channel. ``build`` raises RowInvalid naming the field, never the value."""

    def __init__(self, channel: Channel) -> None:
        fields = channel.fields.values()
        self._constants = {each.name: each.constant for each in fields if not each.column and not each.lookup}
        self._plain = tuple((each.name, each.column) for each in fields if each.column and not _treated(each))
        self._treated = tuple(each for each in fields if each.column and _treated(each))
        self._looked_up = tuple((each, channel.lookups[each.lookup]) for each in fields if each.lookup)
        self._validate = _model(channel).validate_python

    def build(self, image: Mapping[str, Any], resolve: Resolve) -> dict[str, Any]:
        """The row of one captured image. ``resolve`` gives what a look-up found for a key that is not None."""
        raw = self._constants.copy()
        try:
            for name, column in self._plain:
                raw[name] = image[column]
            for each in self._treated:
                raw[each.name] = _treat(each, image[each.column])
            for each, lookup in self._looked_up:
                raw[each.name] = _look(each, image[lookup.key], lookup, resolve)
        except KeyError as missing:
            raise RowInvalid("of this channel", f"column {missing} was not captured") from None
        try:
            row: dict[str, Any] = self._validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            # The message of a pydantic error may quote the value; its type never does.
            raise RowInvalid(str(first["loc"][0]) if first["loc"] else "?", first["type"]) from None
        return row


def _treated(each: Field) -> bool:
    return bool(each.map or each.keys or each.default is not None)


def _treat(each: Field, value: Any) -> Any:
    if value is None:
        return each.default
    if each.map:
        text = (
            value
            if isinstance(value, str)
            else ("false", "true")[value]
            if isinstance(value, bool)
            else str(value)
        )
        return each.map.get(text, value)
    if each.keys:
        if not isinstance(value, dict):
            raise RowInvalid(each.name, "not a JSON object, so its keys cannot be picked")
        return {key: value[key] for key in each.keys if key in value}
    return value


def _look(each: Field, key: Any, lookup: Lookup, resolve: Resolve) -> Any:
    found = resolve(lookup, key) if key is not None else None
    if found is LOOKUP_FAILED:
        raise RowInvalid(each.name, f"look-up {lookup.name} failed")
    if found is None:
        return _treat(each, None)
    if each.lookup_column not in found:
        raise RowInvalid(each.name, f"look-up {lookup.name} gives no column {each.lookup_column}")
    return _treat(each, found[each.lookup_column])


def _model(channel: Channel) -> TypeAdapter[dict[str, Any]]:
    # A typed dict and not a model class: any field name will do ("schema", "copy", "_x"), and rows stay plain dicts.
    make: Any = TypedDict
    shape = make(
        f"Row of {channel.name}", {each.name: each.kind.annotation | None for each in channel.fields.values()}
    )
    shape.__pydantic_config__ = ConfigDict(coerce_numbers_to_str=True)
    return TypeAdapter(shape)
