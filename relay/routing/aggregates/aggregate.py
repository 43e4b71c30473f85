"""An aggregate compiled from its declaration: what it reads, the type of its messages, and how its engine is made.

Whatever cannot work is a MappingError here, at start, that names aggregate and column.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from relay import jsontext
from relay.config_aggregates import AggregateSettings
from relay.errors import MappingError
from relay.messages.fields import base_type
from relay.routing.aggregates.engine import Engine
from relay.routing.aggregates.payments import PaymentMetrics
from relay.routing.aggregates.webhooks import WebhookHealth

__all__ = ["Aggregate", "compile_aggregates"]

_TIMES: Final = frozenset({"timestamp with time zone", "timestamp without time zone", "date"})
_AMOUNTS: Final = frozenset({"numeric", "smallint", "integer", "bigint"})
_TEXTS: Final = frozenset({"text", "character varying", "citext"})
#: Postgres compares char(n) without its trailing blanks, and captures it with them.
_PADDED: Final = frozenset({"character", "bpchar"})


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate. ``view`` names it to clients, and changes with its declaration. ``columns`` are those it needs
    captured, for each source."""

    name: str
    settings: AggregateSettings
    message: str
    view: str
    columns: Mapping[str, frozenset[str]]

    @property
    def sources(self) -> frozenset[str]:
        """The tables it counts."""
        return frozenset(self.columns)

    def engine(self, minute: int) -> Engine:
        """An empty engine as of ``minute``."""
        make = PaymentMetrics if self.settings.transactions is not None else WebhookHealth
        return make(self.settings, minute)


def compile_aggregates(
    settings: Mapping[str, AggregateSettings], types: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Aggregate]:
    """All aggregates. ``types`` gives each table's live columns with their types, where known. Raises MappingError."""
    compiled = {}
    for name, each in settings.items():
        if types is not None:
            _check(name, each, types)
        text = jsontext.encode([name, each.model_dump(mode="json")])
        compiled[name] = Aggregate(
            name=name,
            settings=each,
            message=each.message,
            view=urlsafe_b64encode(blake2b(text, digest_size=15).digest()).decode(),
            columns=each.columns,
        )
    return compiled


def _check(name: str, settings: AggregateSettings, types: Mapping[str, Mapping[str, str]]) -> None:
    for part in ("transactions", "disputes", "alerts", "webhooks"):
        counts = getattr(settings, part)
        if counts is None:
            continue
        live = types.get(counts.table)
        if live is None:
            raise MappingError(
                f"aggregates.{name}.{part} counts table {counts.table}, which does not exist; correct its name"
            )
        for key in ("status", "amount", "created_at", "processed_at", "error_message"):
            column = getattr(counts, key, "")
            if not column:
                continue
            spot = f"aggregates.{name}.{part}.{key}"
            if column not in live:
                raise MappingError(
                    f'{spot} names column "{column}", which table {counts.table} does not have; correct the name'
                )
            kind = base_type(live[column])
            if key in ("created_at", "processed_at") and kind not in _TIMES:
                raise MappingError(
                    f'{spot} is column "{column}" of type {kind}; name a column of type timestamptz'
                )
            if key == "error_message" and kind not in _TEXTS:
                raise MappingError(f'{spot} is column "{column}" of type {kind}; name a column of type text')
            if key == "amount" and kind not in _AMOUNTS:
                raise MappingError(
                    f'{spot} is column "{column}" of type {kind}, which cannot be added up exactly; '
                    "name one of type numeric or integer"
                )
            if key == "status" and kind in _PADDED:
                raise MappingError(
                    f'{spot} is column "{column}" of type {kind}, which is padded with blanks; make it varchar'
                )
