"""What every aggregate is made of: an engine that changes move, and that can say when it has lost count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from relay.capture.change import Change
from relay.routing.aggregates.roles import Roles

__all__ = ["Engine", "Recount", "Standing", "images"]

Image = Mapping[str, Any]
#: What an aggregate shows: section -> name -> value, in the form that JSON holds.
Values = Mapping[str, Mapping[str, Any]]


class Recount(Exception):
    """Control flow, not an error: what is in memory cannot be moved on and has to be counted again for ``reason``."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Engine(Protocol):
    """The numbers of one aggregate. Made empty at a minute, then loaded and moved in any order: sums do not mind."""

    def apply(self, change: Change) -> None:
        """Take the change's old row out and put its new one in. Raises Recount."""

    def load(self, part: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows of one part of the count in SQL (:mod:`relay.capture.census`)."""

    def advance(self, minute: int) -> None:
        """It is ``minute`` now, not before the last one."""

    def values(self) -> Values:
        """All values as of the present minute. Raises Recount."""


def images(change: Change) -> tuple[Image | None, Image | None]:
    """The old and the new row of ``change``; None where there is none. Raises Recount where one is not known."""
    if change.op == "truncate":
        raise Recount("truncated")
    if (change.old is None and change.op != "insert") or (change.new is None and change.op != "delete"):
        raise Recount("row_unknown")
    return change.old, change.new


class Standing:
    """The number of rows, of all time, whose status is one of some."""

    def __init__(self, column: str, roles: Roles, role: str) -> None:
        self._column = column
        self._roles = roles
        self._counted = frozenset(roles.having(role))
        self.rows = 0

    def move(self, image: Image, sign: int) -> None:
        """Put a row in or take it out. Raises KeyError for a row without the column."""
        if self._roles.of(image[self._column]) in self._counted:
            self.rows += sign
