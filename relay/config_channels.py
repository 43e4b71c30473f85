"""The part of the settings that says what is streamed and to whom: ``[channels.*]`` and ``[[policies]]``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from relay.config_kinds import Column, Message, ObjectKey, OptionalColumn, Order, Section, Table
from relay.config_masks import MaskName

__all__ = ["FIELD_TYPES", "ChannelSettings", "FieldSettings", "FieldType", "LookUpSettings", "PolicySettings"]

FieldType = Literal["string", "integer", "decimal", "number", "boolean", "timestamp", "json"]
FIELD_TYPES: tuple[FieldType, ...] = (
    "string",
    "integer",
    "decimal",
    "number",
    "boolean",
    "timestamp",
    "json",
)


class FieldSettings(Section):
    """One field of a channel's object: its origin is one of ``column``, ``constant`` and ``lookup``."""

    column: OptionalColumn = ""
    constant: Any = None
    lookup: str = ""  # "name.column" of the channel's look-ups
    type: FieldType | None = None  # None: as the database column is
    map: Mapping[str, str] = {}
    default: Any = None  # shown instead of null
    keys: tuple[str, ...] = ()  # the only keys of a JSON object that are shown
    key: str = ""  # of a JSON object: the value of this key, and not the object
    #: Column -> stored values: only in rows where all of them are so is anything shown, elsewhere null.
    only: Mapping[Column, Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    blank: bool = True  # False: empty text is null
    required: bool = False  # a row in which it is null is withheld
    hidden: bool = False  # for policies, never sent

    @model_validator(mode="after")
    def _one_origin(self) -> FieldSettings:
        origins = [name for name in ("column", "lookup") if getattr(self, name)]
        origins += ["constant"] if self.constant is not None else []
        if len(origins) != 1:
            have = " and ".join(origins) or "none of them"
            raise ValueError(f"needs exactly one of column, constant and lookup and has {have}; keep one")
        treated = [name for name in ("map", "keys", "key", "only", "required") if getattr(self, name)]
        treated += ["default"] if self.default is not None else []
        treated += ["blank"] if not self.blank else []
        if origins == ["constant"] and treated:
            raise ValueError(f"is a constant, which takes no {treated[0]}; remove it")
        if self.required and self.default is not None:
            raise ValueError("is required and has a default, so it could never be missing; keep one of them")
        if self.key and self.keys:
            raise ValueError(
                "has key, which shows one value, and keys, which show an object; keep one of them"
            )
        if self.keys and self.type not in (None, "json"):
            raise ValueError(
                f'has keys, which pick from a JSON object, but type "{self.type}"; use type "json"'
            )
        if self.map and self.type not in (None, "string"):
            raise ValueError(f'has a map, which gives strings, but type "{self.type}"; leave the type out')
        if self.lookup and not re.fullmatch(r"[^.]+\.[^.]+", self.lookup):
            raise ValueError('has a lookup that is not "name.column"; write for instance "customer.email"')
        return self


class LookUpSettings(Section):
    """One query per batch that enriches rows; results are cached until a table in ``reads`` changes.

    ``sql`` takes ``%(keys)s``, an array of the values of column ``key``, and returns one row per key with the
    key as ``id``. ``reverse`` takes ``%(values)s`` and returns the keys: a policy's condition asked the other
    way round.
    """

    key: Column
    sql: str
    reverse: str = ""
    reads: Mapping[Table, tuple[Column, ...]] = {}
    announce: bool = False  # a changed result is told as an update of the rows it belongs to

    @model_validator(mode="after")
    def _parameters(self) -> LookUpSettings:
        if "%(keys)s" not in self.sql:
            raise ValueError("has sql without %(keys)s; end it with WHERE id = ANY(%(keys)s)")
        if self.reverse and "%(values)s" not in self.reverse:
            raise ValueError("has reverse without %(values)s; end it with … = ANY(%(values)s)")
        if self.announce and not self.reads:
            raise ValueError(
                "has announce but no reads, so no change could be noticed; name the tables it reads"
            )
        return self


class ChannelSettings(Section):
    """One stream that clients subscribe to."""

    table: Table
    message: Message = "row_change"
    object: ObjectKey = "row"
    status: OptionalColumn = ""
    order: Order = ""
    #: Action -> shown statuses: a change of the status to one of them has this action; to any other it is "updated".
    actions: Mapping[Message, Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    coalesce: bool = False
    fields: Annotated[Mapping[str, FieldSettings], Field(min_length=1)]
    lookups: Mapping[str, LookUpSettings] = {}

    @model_validator(mode="after")
    def _lookups_exist(self) -> ChannelSettings:
        for name, field in self.fields.items():
            wanted = field.lookup.partition(".")[0]
            if wanted and wanted not in self.lookups:
                have = ", ".join(self.lookups) or "none"
                raise ValueError(
                    f'has fields.{name} from look-up "{wanted}", which is not declared (there is: {have}); '
                    f"add lookups.{wanted} to the channel"
                )
        if self.actions and not self.status:
            raise ValueError("has actions but no status whose change could mean one; name the status column")
        told = [status for statuses in self.actions.values() for status in statuses]
        if twice := next((status for status in told if told.count(status) > 1), None):
            raise ValueError(f'has status "{twice}" under two actions; keep one')
        if all(field.hidden for field in self.fields.values()):
            raise ValueError("hides all its fields, so nothing could ever be sent; show at least one")
        return self


def _claims(when: Mapping[str, Any]) -> Mapping[str, Any]:
    for claim, wanted in when.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if not values:
            raise ValueError(f"compares claim {claim} with an empty list, which never matches; list a value")
        if not all(isinstance(value, bool | int | str) for value in values):
            raise ValueError(
                f"compares claim {claim} with neither string, integer nor boolean; use those only"
            )
    return when


class PolicySettings(Section):
    """What one kind of person may see; the first policy whose ``when`` matches the token's claims decides."""

    name: Annotated[str, Field(min_length=1)]
    #: Claim -> value, or list of values of which any will do. ``{}`` matches every valid token.
    when: Annotated[Mapping[str, Any], AfterValidator(_claims)]
    channels: Annotated[tuple[str, ...], Field(min_length=1)]  # names, or "*" for all
    #: Field -> condition on raw values; ``$claims.x`` stands for a claim.
    where: Mapping[str, Any] = {}
    #: Field -> what is done to it before it leaves.
    mask: Mapping[str, MaskName] = {}

    def granted(self, channels: Iterable[str]) -> tuple[str, ...]:
        """The names of ``channels`` that this policy grants."""
        return tuple(name for name in channels if "*" in self.channels or name in self.channels)
