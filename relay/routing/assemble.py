"""One channel's changes made into prepared events, given what look-ups found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from relay.errors import RowInvalid
from relay.routing.channel import Channel, Lookup
from relay.routing.coalesce import RowChange
from relay.routing.conditions import Row
from relay.routing.event import PreparedEvent
from relay.routing.lookups import LookupCache, LookupId, key_text
from relay.routing.rows import LOOKUP_FAILED, Answers, Found, RowBuilder

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
            for text in keys:
                result = now._resolve(lookup, text)
                if result is not None or lookup.reads:
                    found[text] = result

    def _resolve(self, lookup: Lookup, key: str) -> Found:
        return self._found.get(lookup.id, {}).get(key, LOOKUP_FAILED)

    def answers(self, lookups: Iterable[Lookup]) -> Answers:
        """All that is known of ``lookups``, by their names."""
        return {lookup.name: self._found.get(lookup.id, {}) for lookup in lookups}


class Assembler:
    """Makes events and rows of one channel."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._build = RowBuilder(channel).build
        self._lookups = tuple(channel.lookups.values())

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

    def rows(self, images: Iterable[Mapping[str, Any]], known: Known) -> Iterator[Row | RowInvalid]:
        """The row of each image, or why there is none."""
        answers = known.answers(self._lookups)
        for image in images:
            try:
                yield self._build(image, answers)
            except RowInvalid as why:
                yield why

    def events(
        self, changes: Iterable[RowChange], known: Known, before: Known, *, old_from: Known | None = None
    ) -> Iterator[PreparedEvent]:
        """The event of each change. Look-ups of a deleted row come from ``before``, all others from ``known``.

        ``old_from``: those of every old row come from there.
        """
        answers, gone = known.answers(self._lookups), before.answers(self._lookups)
        was = answers if old_from is None else old_from.answers(self._lookups)
        for change in changes:
            yield self._event(change, answers, gone if change.op == "delete" else was)

    def _event(self, change: RowChange, answers: Answers, old_answers: Answers) -> PreparedEvent:
        new, fault, new_lost = self._side(change.new, answers)
        old, _, old_lost = self._side(change.old, old_answers)
        # That a row was not valid is no fault of the event that changes it; that nothing was captured is.
        if change.op == "delete":
            fault, new_lost = "" if change.old is not None else fault, False
        elif change.op == "insert":
            old_lost = False
        between = None
        if change.between is not None:
            sides = (self._side(image, answers)[0] for image in change.between)
            between = tuple(row for row in sides if row is not None)
        return PreparedEvent(
            channel=self.channel.name,
            mapping=self.channel.fingerprint,
            id=change.id,
            xid=change.xid,
            at=change.at,
            op=change.op,
            new=new,
            old=old,
            key=change.key,
            fault=fault,
            lost=new_lost or old_lost,
            between=between,
            fleeting=change.fleeting,
        )

    def _side(self, image: Mapping[str, Any] | None, answers: Answers) -> tuple[Row | None, str, bool]:
        """One of an event's rows: the row, else why there is none, and whether it may be a good one all the same."""
        if image is None:
            return None, _NOT_CAPTURED, True
        try:
            return self._build(image, answers), "", False
        except RowInvalid as why:
            keys = ((answers[lookup.name], image.get(lookup.key)) for lookup in self._lookups)
            failed = any(
                key is not None and found.get(key_text(key), LOOKUP_FAILED) is LOOKUP_FAILED
                for found, key in keys
            )
            return None, str(why), failed
