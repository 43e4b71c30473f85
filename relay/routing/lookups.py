"""What look-ups found, remembered within bounds: what is missing, what to store, what a change makes void."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from relay.messages.fields import plain

__all__ = ["LookupCache", "LookupId", "key_text"]

#: (channel, look-up)
LookupId = tuple[str, str]

_MISSING: Any = object()


def key_text(key: Any) -> str:
    """One form for a key from JSON and the same key from the driver (a uuid is a string here and an object there)."""
    return key if isinstance(key, str) else str(key)


class LookupCache:
    """Results of all look-ups together, at most ``capacity`` of them, the least recently used going first.

    ``version`` of a look-up grows with everything that makes results void. Whoever runs a query remembers it before
    and gives it to :meth:`store`, so that what was read before a change is never stored after it.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[tuple[LookupId, int, str], Mapping[str, Any] | None] = OrderedDict()
        self._age: dict[LookupId, int] = {}
        self._version: dict[LookupId, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def version(self, lookup: LookupId) -> int:
        """How often results of ``lookup`` have become void."""
        return self._version.get(lookup, 0)

    def get(self, lookup: LookupId, key: str) -> tuple[bool, Mapping[str, Any] | None]:
        """Whether the result for ``key`` is known, and the result (None: there is no such row)."""
        entry = (lookup, self._age.get(lookup, 0), key)
        found = self._entries.get(entry, _MISSING)
        if found is _MISSING:
            return False, None
        self._entries.move_to_end(entry)
        return True, found

    def store(self, lookup: LookupId, version: int, found: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Remember results that were asked for when ``lookup`` had ``version``; void by now, they are left out."""
        if version != self.version(lookup):
            return
        age = self._age.get(lookup, 0)
        for key, result in found.items():
            self._entries[lookup, age, key] = result
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def drop(self, lookup: LookupId, keys: Iterable[str] | None = None) -> None:
        """Forget the results for ``keys``, or all of ``lookup``."""
        self._version[lookup] = self.version(lookup) + 1
        age = self._age.get(lookup, 0)
        if keys is None:
            # A new age instead of a search: entries of the old one are never found again and go as the oldest.
            self._age[lookup] = age + 1
            return
        for key in keys:
            self._entries.pop((lookup, age, key), None)


def results(
    keys: Iterable[str], found: Mapping[Any, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any] | None]:
    """What a query gave for each of ``keys``, in plain JSON-like values; None for those it gave nothing for.

    The key itself can be shown, too: it is ``id``, whether or not the rows repeat it.
    """
    by_text = {key_text(key): plain({"id": key, **row}) for key, row in found.items()}
    return {key: by_text.get(key) for key in keys}
