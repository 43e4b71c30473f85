"""From a captured image to a validated row: every declared field, hidden ones too, as a Python value.

A row is a plain dict. Validation is one call into pydantic with a typed dict built from the channel's fields. The
assembly before it happens twice for every update, so fields are sorted beforehand by what has to be done to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from relay.errors import RowInvalid
from relay.routing.channel import Channel, Field
from relay.routing.lookups import key_text
from relay.routing.scrub import Scrubber

__all__ = ["LOOKUP_FAILED", "Answers", "Found", "RowBuilder"]

#: What a look-up gave for a key: the result's columns, None for no result, LOOKUP_FAILED if that is not known.
Found = Mapping[str, Any] | None
#: Look-up -> key -> what it gave.
Answers = Mapping[str, Mapping[str, Found]]

LOOKUP_FAILED: Mapping[str, Any] = {}


class _Nothing(dict[str, Any]):
    """The result of a look-up that found no row: null in every column."""

    def __missing__(self, column: str) -> None:
        return None


_NOTHING: Mapping[str, Any] = _Nothing()


class RowBuilder:
    """Makes rows of one channel. ``build`` raises RowInvalid naming the field, never the value."""

    def __init__(self, channel: Channel) -> None:
        self._fields = fields = tuple(channel.fields.values())
        columns = [each for each in fields if each.column]
        plain = [each for each in columns if not each.treated]
        self._constants = {each.name: each.constant for each in fields if not each.column and not each.lookup}
        self._plain = tuple(each.name for each in plain)
        self._pick = _picker([each.column for each in plain])
        self._treated = tuple((each.name, each.column, each) for each in columns if each.treated)
        self._looked_up = tuple(
            (
                name,
                lookup.key,
                tuple(
                    (each.name, each.lookup_column)
                    for each in fields
                    if each.lookup == name and not each.treated
                ),
                tuple(each for each in fields if each.lookup == name and each.treated),
            )
            for name, lookup in channel.lookups.items()
        )
        self._validate = _model(channel).validate_python
        self._scrub = Scrubber(channel)

    def _answer(self, name: str, key: Any, answers: Answers) -> Mapping[str, Any]:
        found = answers[name].get(key_text(key), LOOKUP_FAILED) if key is not None else None
        if found is LOOKUP_FAILED:
            field = next((each.name for each in self._fields if each.lookup == name), name)
            raise RowInvalid(field, f"look-up {name} failed")
        return _NOTHING if found is None else found

    def _blame(self, column: str) -> tuple[str, str]:
        for each in self._fields:
            if each.column == column or column in each.only:
                return each.name, f"column {column} was not captured"
            if each.lookup_column == column:
                return each.name, f"look-up {each.lookup} gives no column {column}"
        return column, "a look-up needs this column, and it was not captured"

    def build(self, image: Mapping[str, Any], answers: Answers) -> dict[str, Any]:
        """The row of one captured image, with what look-ups gave, after the last-line scan."""
        try:
            raw = dict(zip(self._plain, self._pick(image), strict=True))
            for name, column, field in self._treated:
                raw[name] = _treat(field, image[column], image)
            for name, column, simple, treated in self._looked_up:
                found = self._answer(name, image[column], answers)
                for field_name, result in simple:
                    raw[field_name] = found[result]
                for field in treated:
                    raw[field.name] = _treat(field, found[field.lookup_column], image)
        except KeyError as missing:
            raise RowInvalid(*self._blame(str(missing.args[0]))) from None
        raw |= self._constants
        try:
            row: dict[str, Any] = self._validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            # The message of a pydantic error may quote the value; its type never does.
            raise RowInvalid(str(first["loc"][0]) if first["loc"] else "?", first["type"]) from None
        self._scrub(row)
        return row


def _picker(columns: list[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(columns) > 1:
        return itemgetter(*columns)
    return lambda image: tuple(image[column] for column in columns)


def _treat(each: Field, value: Any, image: Mapping[str, Any]) -> Any:
    if value is None or (each.only and not _is_meant(each, image)):
        return each.default
    if each.key or each.keys:
        if not isinstance(value, dict):
            raise RowInvalid(each.name, "not a JSON object, so its keys cannot be picked")
        if each.keys:
            return {key: value[key] for key in each.keys if key in value}
        value = value.get(each.key)
    if value is None or (value == "" and not each.blank):
        return each.default
    if each.map:
        value = _text(value)
        return each.map.get(value, value)
    return value


def _is_meant(each: Field, image: Mapping[str, Any]) -> bool:
    return all(_text(image[column]) in shown for column, shown in each.only.items())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def _model(channel: Channel) -> TypeAdapter[dict[str, Any]]:
    # A typed dict and not a model class: any field name will do ("schema", "copy", "_x"), and rows stay plain dicts.
    make: Any = TypedDict
    shape = make(f"Row of {channel.name}", {each.name: _values(each) for each in channel.fields.values()})
    shape.__pydantic_config__ = ConfigDict(coerce_numbers_to_str=True)
    return TypeAdapter(shape)


def _values(each: Field) -> Any:
    return (
        Annotated[each.kind.annotation, AfterValidator(_not_null)]
        if each.required
        else each.kind.annotation | None
    )


def _not_null(value: Any) -> Any:
    if value is None:  # of a kind that takes any value
        raise ValueError("null")
    return value
