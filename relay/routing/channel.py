"""A channel compiled from its declaration: what it reads, what it shows, and in which kinds of values.

Whatever cannot work is a MappingError here, at start, that names channel and field; at run time a channel only
projects.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from pydantic import TypeAdapter, ValidationError

from relay import jsontext
from relay.config import ChannelSettings, FieldSettings, LookUpSettings
from relay.errors import MappingError
from relay.messages.fields import KINDS, FieldType, base_type, kind_of_column, may_be_text, never_fits, plain
from relay.routing.declared import Field, Lookup
from relay.routing.filters import ANY_OF
from relay.routing.lookup_keys import keyed_by
from relay.routing.lookup_values import gathered
from relay.routing.needs import channel_needs
from relay.routing.projection import Projection

__all__ = ["Channel", "Field", "Lookup", "compile_channel", "compile_channels"]

#: The kinds of values that may hold whatever somebody wrote.
_FREE = frozenset({"string", "json", "auto"})


@dataclass(frozen=True, eq=False)
class Channel:
    """One stream. ``source`` is its table, ``order`` that of its snapshots, ``fingerprint`` changes with the mapping.

    ``columns`` are the columns this channel needs captured, for each source. ``fields`` are all, ``visible`` those that
    clients may see and, where no mask is on them, filter on. ``naming`` are those that name a row when nothing else of
    it may be said.
    """

    name: str
    source: str
    message: str
    object: str
    status: str
    actions: Mapping[str, str] | None
    order: str
    coalesce: bool
    fields: Mapping[str, Field]
    lookups: Mapping[str, Lookup]
    columns: Mapping[str, frozenset[str]]
    naming: frozenset[str]
    projection: Projection
    fingerprint: str

    @property
    def visible(self) -> Mapping[str, FieldType]:
        """The kinds of the fields that are not hidden, by name: what a filter may name."""
        return {name: each.kind for name, each in self.fields.items() if not each.hidden}

    @property
    def kinds(self) -> Mapping[str, FieldType]:
        """The kinds of all fields, hidden ones included: what a policy may name."""
        return {name: each.kind for name, each in self.fields.items()}

    def lookups_behind(self, fields: Collection[str]) -> frozenset[str]:
        """The look-ups that the values of ``fields`` come from."""
        return frozenset(self.fields[name].lookup for name in fields if self.fields[name].lookup)

    def sources_behind(self, lookups: Collection[str]) -> frozenset[str]:
        """The channel's own table and all that ``lookups`` read."""
        return frozenset({self.source}.union(*(self.lookups[name].reads for name in lookups)))


def compile_channels(
    settings: Mapping[str, ChannelSettings],
    types: Mapping[str, Mapping[str, str]] | None = None,
    keys: Mapping[str, Collection[str]] | None = None,
) -> dict[str, Channel]:
    """All channels. ``types`` and ``keys`` give each table's live columns with their types, and its primary key.

    Raises MappingError.
    """
    return {
        name: compile_channel(
            name,
            each,
            types.get(each.table, {}) if types is not None else None,
            keys.get(each.table) if keys is not None else None,
        )
        for name, each in settings.items()
    }


def compile_channel(
    name: str,
    settings: ChannelSettings,
    types: Mapping[str, str] | None = None,
    key: Collection[str] | None = None,
) -> Channel:
    """One channel. Without ``types`` (column -> type) undeclared kinds are decided value by value.

    Raises MappingError naming the channel, the field and the remedy.
    """
    if types is not None:
        _check_columns(name, settings, types)
    lookups = {each: _lookup(name, each, spec) for each, spec in settings.lookups.items()}
    fields = {
        each: _field(name, each, spec, types or {}, key or ()) for each, spec in settings.fields.items()
    }
    shown = [each for each in fields.values() if not each.hidden]
    if key is not None:
        for column in key:
            if not any(each.column == column and not (each.partial or each.map) for each in shown):
                raise MappingError(
                    f'channels.{name} shows no field for key column "{column}", so a deleted row could not be '
                    f'named; add a field with column = "{column}"'
                )
    status = next((each.name for each in shown if settings.status and each.column == settings.status), "")
    return Channel(
        name=name,
        source=settings.table,
        message=settings.message,
        object=settings.object,
        status=status,
        actions={each: action for action, statuses in settings.actions.items() for each in statuses} or None,
        order=settings.order,
        coalesce=settings.coalesce,
        fields=fields,
        lookups=lookups,
        columns=channel_needs(settings),
        naming=_naming(shown, key or ()),
        projection=Projection({each.name: each.kind for each in shown}, status),
        fingerprint=_fingerprint(name, settings, fields),
    )


def _naming(shown: Collection[Field], key: Collection[str]) -> frozenset[str]:
    return frozenset(each.name for each in shown if _names_rows(each.name, each.column, key))


def _names_rows(name: str, column: str, key: Collection[str]) -> bool:
    return name == "id" or column in key


def _check_columns(name: str, settings: ChannelSettings, types: Mapping[str, str]) -> None:
    wanted = {f"fields.{each}": spec.column for each, spec in settings.fields.items()}
    wanted |= {f"fields.{each}.only": col for each, spec in settings.fields.items() for col in spec.only}
    wanted |= {f"lookups.{each}.key": spec.key for each, spec in settings.lookups.items()}
    wanted |= {"status": settings.status, "order": settings.order.partition(" ")[0]}
    for spot, column in wanted.items():
        if column and column not in types:
            raise MappingError(
                f'channels.{name}.{spot} names column "{column}", which table {settings.table} does not have; '
                "correct the name or remove it"
            )


def _lookup(channel: str, name: str, settings: LookUpSettings) -> Lookup:
    keyed = {
        table: column for table in settings.reads if (column := keyed_by(settings.sql, table)) is not None
    }
    reads = {table: tuple(columns) for table, columns in settings.reads.items()}
    if settings.announce and not keyed:
        raise MappingError(
            f"channels.{channel}.lookups.{name} has announce, but its sql does not show which rows a change bears on; "
            "end it with WHERE column = ANY(%(keys)s) on a column of a table in reads"
        )
    return Lookup(
        channel,
        name,
        settings.key,
        settings.sql,
        settings.reverse,
        reads,
        keyed,
        settings.announce,
        gathered(settings.sql, reads),
    )


def _field(
    channel: str, name: str, settings: FieldSettings, types: Mapping[str, str], key: Collection[str]
) -> Field:
    if name == ANY_OF:
        raise MappingError(
            f'channels.{channel}.fields.{name} has the name of the filter word "any_of"; rename the field'
        )
    lookup, _, lookup_column = settings.lookup.partition(".")
    column_type = types.get(settings.column) if settings.column else None
    kind = _kind(settings, column_type)
    # Not where the value is taken out of the column's: a key of an object, a name by a map.
    if (
        settings.type
        and column_type
        and not (settings.key or settings.map)
        and never_fits(kind.name, column_type)
    ):
        raise MappingError(
            f'channels.{channel}.fields.{name} has type "{kind.name}", which no value of column "{settings.column}" '
            f"({column_type}) is, so every row would be withheld; leave the type out or correct it"
        )
    return Field(
        name=name,
        kind=kind,
        column=settings.column,
        column_type=base_type(column_type) if column_type else None,
        constant=_literal(f"channels.{channel}.fields.{name}.constant", settings.constant, kind),
        lookup=lookup,
        lookup_column=lookup_column,
        map=dict(settings.map),
        keys=tuple(settings.keys),
        key=settings.key,
        only={column: tuple(values) for column, values in settings.only.items()},
        blank=settings.blank,
        required=settings.required,
        default=_literal(f"channels.{channel}.fields.{name}.default", settings.default, kind),
        hidden=settings.hidden,
        scanned=(
            settings.constant is None
            and not settings.hidden
            and not _names_rows(name, settings.column, key)
            and kind.name in _FREE
            and (column_type is None or may_be_text(column_type))
        ),
    )


def _kind(settings: FieldSettings, column_type: str | None) -> FieldType:
    if settings.type is not None:
        return KINDS[settings.type]
    if settings.constant is not None:
        constant = settings.constant
        known = {bool: "boolean", int: "integer", float: "number", str: "string"}
        return KINDS[known.get(type(constant), "json")]
    if settings.map:
        return KINDS["string"]
    if settings.keys:
        return KINDS["json"]
    return kind_of_column(column_type)


def _literal(spot: str, value: Any, kind: FieldType) -> Any:
    if value is None:
        return None
    try:
        return TypeAdapter(kind.annotation).validate_python(plain(value))
    except ValidationError:
        raise MappingError(
            f"{spot} is not of type {kind.name}; correct the value or the field's type"
        ) from None


def _fingerprint(name: str, settings: ChannelSettings, fields: Mapping[str, Field]) -> str:
    kinds = {each.name: each.kind.name for each in fields.values()}
    text = jsontext.encode([name, settings.model_dump(mode="json"), kinds])
    return blake2b(text, digest_size=16).hexdigest()
