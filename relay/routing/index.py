"""Which groups an event could concern, found by the values of its row and not by asking every group.

A group whose policy or filter demands that a field equals one value, is one of several, or overlaps them, stands
under those values; one condition is enough, for the others are checked afterwards. A filter with alternatives stands
under all of theirs. Only groups without any such condition are candidates for every event.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from relay.routing.conditions import Condition, Row, exact
from relay.routing.view import View

__all__ = ["Index"]

G = TypeVar("G", bound=Hashable)

#: (field, value in exact form)
_Place = tuple[str, Hashable]


class Index(Generic[G]):
    """Groups of one channel, to be found by the old and new row of an event."""

    def __init__(self) -> None:
        self._placed: dict[str, dict[Hashable, dict[G, None]]] = {}
        self._anywhere: dict[G, None] = {}

    def add(self, group: G, view: View) -> None:
        """Make ``group`` a candidate for the events that could concern ``view``."""
        places = _places(view)
        if places is None:
            self._anywhere[group] = None
            return
        for field, value in places:
            self._placed.setdefault(field, {}).setdefault(value, {})[group] = None

    def remove(self, group: G, view: View) -> None:
        """Undo :meth:`add` for the same ``view``."""
        self._anywhere.pop(group, None)
        for field, value in _places(view) or ():
            values = self._placed.get(field, {})
            groups = values.get(value, {})
            groups.pop(group, None)
            if not groups:
                values.pop(value, None)
            if not values:
                self._placed.pop(field, None)

    def candidates(self, new: Row | None, old: Row | None) -> Iterable[G]:
        """The groups whose view could match either row, each once."""
        if not self._placed:
            return self._anywhere
        found: dict[G, None] | None = None
        for field, values in self._placed.items():
            for value in _values(field, new, old):
                groups = values.get(value)
                if groups:
                    if found is None:
                        found = self._anywhere.copy()
                    found.update(groups)
        return self._anywhere if found is None else found


def _values(field: str, new: Row | None, old: Row | None) -> Iterable[Hashable]:
    if new is None or old is None:
        row = new if new is not None else old
        return _scalars(row[field]) if row is not None else ()
    after, before = new[field], old[field]
    # Equal is not enough: True == 1, which in JSON are two values.
    if after is before or (after == before and isinstance(after, str)):
        return _scalars(after)
    return (*_scalars(after), *_scalars(before))


def _scalars(value: object) -> Iterable[Hashable]:
    if value is None or isinstance(value, dict):
        return ()
    if isinstance(value, list):
        return [exact(each) for each in value if not isinstance(each, list | dict)]
    return (exact(value),)


def _places(view: View) -> list[_Place] | None:
    best = _narrowest(view.scope.conditions + view.filter.all_of)
    if best is not None:
        return best
    if not view.filter.any_of:
        return None
    alternatives = [_narrowest(alternative) for alternative in view.filter.any_of]
    # One alternative that could match anything makes the whole filter one that could.
    return None if None in alternatives else [place for each in alternatives if each for place in each]


def _narrowest(conditions: Iterable[Condition]) -> list[_Place] | None:
    demands = [[(each.field, key) for key in each.keys] for each in conditions if each.keys is not None]
    return min(demands, key=len, default=None)
