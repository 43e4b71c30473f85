"""What one subscriber sees of one channel: its policy's scope, the client's filter, and what is shown.

Subscribers whose views are equal form a group. The hash names a view to clients, who bring it back on resume: if it is
not the same any more, what they kept is void.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from relay import jsontext
from relay.routing.channel import Channel
from relay.routing.conditions import EVERY_FIELD, Condition, Row, canonical
from relay.routing.filters import EVERYTHING, Filter
from relay.routing.projection import Projection

__all__ = ["UNSCOPED", "Scope", "View"]


@dataclass(frozen=True, slots=True)
class Scope:
    """The conditions of a policy's ``where`` on unmasked values, claims put in. All must hold; none: unscoped."""

    conditions: tuple[Condition, ...] = ()

    @property
    def canonical(self) -> str:
        """Equal for scopes that mean the same by their form."""
        return ",".join(sorted(f"{c.field} {c.op} {canonical(c.operand)}" for c in self.conditions))

    def matches(self, row: Row) -> bool:
        """Whether the policy lets its subscriber see ``row``."""
        return all(one.test(row, ()) for one in self.conditions)


UNSCOPED = Scope()


class View:
    """A channel through a filter, a scope and masks. Immutable; equal and hashed by what it lets through and shows.

    ``hash`` is short, opaque and url-safe. ``lookups`` are those the scope depends on: a change of one may move rows
    in or out of it unseen. ``sources`` are the tables whose history the view depends on.
    """

    __slots__ = ("channel", "filter", "hash", "lookups", "projection", "scope", "scoped", "sources")

    def __init__(
        self,
        channel: Channel,
        filter: Filter = EVERYTHING,
        scope: Scope = UNSCOPED,
        projection: Projection | None = None,
    ) -> None:
        self.channel = channel
        self.filter = filter
        self.scope = scope
        self.projection: Projection = projection or channel.projection
        self.scoped = bool(scope.conditions)
        self.lookups = channel.lookups_behind({one.field for one in scope.conditions})
        self.sources = channel.sources_behind(self.lookups)
        shown = self.projection.canonical
        what = jsontext.encode([channel.fingerprint, filter.canonical, scope.canonical, shown])
        self.hash = urlsafe_b64encode(blake2b(what, digest_size=15).digest()).decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, View) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"<View {self.hash} of {self.channel.name}>"

    def allows(self, row: Row) -> bool:
        """Whether the policy lets the subscriber see ``row``."""
        return self.scope.matches(row)

    def wants(self, row: Row, changed: Collection[str] = EVERY_FIELD) -> bool:
        """Whether policy and filter both match ``row``."""
        return self.scope.matches(row) and self.filter.matches(row, changed)

    def select(self, rows: Collection[Row], limit: int) -> list[Mapping[str, Any]]:
        """The first ``limit`` of ``rows`` that policy and filter match, in JSON form: a snapshot's rows.

        A snapshot shows states: in it nothing has changed, so a filter on ``changed: true`` matches none of it.
        """
        shown: list[Mapping[str, Any]] = []
        for row in rows:
            if len(shown) >= limit:
                break
            if self.wants(row, ()):
                shown.append(self.projection.wire(row))
        return shown
