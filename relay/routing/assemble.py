"""One channel's changes made into prepared events, given what look-ups found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relay.errors import RowInvalid
from relay.routing.channel import Channel, Lookup
from relay.routing.coalesce import RowChange
from relay.routing.conditions import Row
from relay.routing.event import PreparedEvent
from relay.routing.lookups import LookupCache, LookupId, key_text
from relay.routing.rows import LOOKUP_FAILED, Found, Resolve, RowBuilder

__all__ = ["Assembler", "Known", "Needs"]

#: Look-ups, each with the keys to be looked up by their text.
Needs = Sequence[tuple[Lookup, dict[str, Any]]]

_NOT_CAPTURED = "the row was not captured; see relay.watched for what is missing"


class Known:
    """The look-up results one batch works with. They stay the same while it is prepared, whatever the cache forgets."""

    def __init__(self, cache: LookupCache) -> None:
        self._cache = cache
        self._found: dict[LookupId, dict[str, Found]] = {}
        self._missing: dict[LookupId, tuple[Lookup, dict[str, Any]]] = {}

    def recall(self, needs: Needs) -> None:
        """Take over what the cache knows, and note the rest as missing."""
        for lookup, keys in needs:
            found = self._found.setdefault(lookup.id, {})
            for text, key in keys.items():
                if text in found:
                    continue
                known, result = self._cache.get(lookup.id, text)
                if known:
                    found[text] = result
                else:
                    self._missing.setdefault(lookup.id, (lookup, {}))[1][text] = key

    def missing(self) -> Needs:
        """What has to be asked."""
        return list(self._missing.values())

    def learn(self, lookup: Lookup, found: Mapping[str, Found]) -> None:
        """Add what a query gave."""
        self._found.setdefault(lookup.id, {}).update(found)
        self._missing.pop(lookup.id, None)

    def complete(self, now: Known) -> None:
        """Where nothing was known of rows that are gone, take what ``now`` is found.

        If that is nothing, it proves something only where the look-up declares what it reads: a change there would
        have been noticed. Otherwise what the row pointed to may have gone with it, and it stays unknown.
        """
        for lookup, keys in self._missing.values():
            found = self._found.setdefault(lookup.id, {})
            for text, key in keys.items():
                result = now.resolve(lookup, key)
                if result is not None or lookup.reads:
                    found[text] = result

    def resolve(self, lookup: Lookup, key: Any) -> Found:
        """What ``lookup`` found for ``key``."""
        return self._found.get(lookup.id, {}).get(key_text(key), LOOKUP_FAILED)


class Assembler:
    """Makes events and rows of one channel."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._build = RowBuilder(channel).build
        self._lookups = tuple(channel.lookups.values())
        fields = channel.fields.values()
        self._columns = {
            each.column: each.name for each in fields if each.column and not each.hidden and not each.map
        }

    def needs(self, images: Iterable[Mapping[str, Any] | None]) -> Needs:
        """The keys that rows of ``images`` will look up."""
        needs: Needs = [(each, {}) for each in self._lookups]
        if not needs:
            return needs
        for image in images:
            if image is not None:
                for lookup, keys in needs:
                    key = image.get(lookup.key)
                    if key is not None:
                        keys[key_text(key)] = key
        return needs

    def row(self, image: Mapping[str, Any], known: Known) -> Row:
        """One row. Raises RowInvalid."""
        return self._build(image, known.resolve)

    def event(self, change: RowChange, known: Known, before: Known) -> PreparedEvent:
        """One event. Look-ups of a deleted row come from ``before``, all others from ``known``."""
        before_it = before.resolve if change.op == "delete" else known.resolve
        new, fault, new_lost = self._side(change.new, known.resolve)
        old, _, old_lost = self._side(change.old, before_it)
        # That a row was not valid is no fault of the event that changes it; that nothing was captured is.
        if change.op == "delete":
            fault, new_lost = "" if change.old is not None else fault, False
        elif change.op == "insert":
            old_lost = False
        return PreparedEvent(
            channel=self.channel.name,
            mapping=self.channel.fingerprint,
            id=change.id,
            xid=change.xid,
            at=change.at,
            op=change.op,
            new=new,
            old=old,
            identity=self._identity(change, old if old is not None else new),
            fault=fault,
            lost=new_lost or old_lost,
        )

    def _side(self, image: Mapping[str, Any] | None, resolve: Resolve) -> tuple[Row | None, str, bool]:
        """One of an event's rows: the row, else why there is none, and whether it may be a good one all the same."""
        if image is None:
            return None, _NOT_CAPTURED, True
        try:
            return self._build(image, resolve), "", False
        except RowInvalid as why:
            keys = [(lookup, image.get(lookup.key)) for lookup in self._lookups]
            failed = any(key is not None and resolve(lookup, key) is LOOKUP_FAILED for lookup, key in keys)
            return None, str(why), failed

    def _identity(self, change: RowChange, row: Row | None) -> Mapping[str, Any]:
        shown = self.channel.projection.shown
        names = [self._columns[column] for column in change.key or () if column in self._columns]
        if row is not None:
            names = names or [name for name in ("id",) if name in self.channel.visible]
            return {name: shown(name, row) for name in names}
        # The row itself is not to be had; a key is a string or number, and leaves as its field's kind has it.
        key = change.key or {}
        return {name: _key_wire(self.channel, name, key[self.channel.fields[name].column]) for name in names}


def _key_wire(channel: Channel, name: str, value: Any) -> Any:
    kind = channel.fields[name].kind.name
    return str(value) if kind in ("string", "bigint", "decimal") and value is not None else value
