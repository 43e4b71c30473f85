"""From captured changes to prepared events: folded, enriched by look-ups, validated. The only place here that awaits.

Look-ups are asked once per batch, for all keys not known yet. A change in a table that a look-up reads makes results
void before anything of the batch is looked up; only ``delete`` uses what was known until then, for the row it speaks of
was sent under that. Whether a voided result matters to a subscriber is the hub's business: it is told which look-ups
changed.

A look-up whose query fails quarantines the rows that need it: they are announced as withheld, counted and logged, and
the stream goes on. (Repeating until it works would stop every channel for one mistake in one query.) If instead the
database is gone, the error passes through and the batch is tried again after the reconnect: nothing is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from relay.capture.change import Change
from relay.capture.rows import images_by
from relay.errors import CaptureDegraded, DatabaseError, DatabaseUnreachable, LookUpRefused, RowInvalid
from relay.routing.announce import Announcement, announcements
from relay.routing.assemble import Assembler, Known, Needs
from relay.routing.causality import in_causal_order
from relay.routing.channel import Channel, Lookup
from relay.routing.coalesce import RowChange, fold, row_changes
from relay.routing.event import Fault, Prepared, PreparedEvent, PreparedRows, ScopeChange, Truncation
from relay.routing.lookups import LookupCache, LookupId, key_text, results
from relay.routing.rows import LOOKUP_FAILED, Found
from relay.routing.staleness import keys_touched, moves_scope, together, touches, values_touched

__all__ = ["LookupSource", "Preparer"]

#: How often a snapshot's rows are looked up again because a change came in between; then the last result stands, and
#: the change's own batch sends the subscribers concerned a resync.
_LOOKUP_ROUNDS = 3

#: Refusals of one look-up in one batch after which keys are not halved any more: too many are at fault.
_REFUSALS = 32

#: Rows made into events before other tasks get their turn. A replay may have many, and nobody shall wait for it.
_AT_ONCE = 500


class LookupSource(Protocol):
    """Whoever can ask the database. Both raise DatabaseError for a statement that fails, and CaptureDegraded or
    DatabaseUnreachable for a connection that is gone."""

    async def look_up(self, sql: str, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        """The rows that ``sql`` gives for ``keys``, by their column ``id``."""

    async def look_up_reverse(self, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        """The keys that ``sql`` gives for ``values``."""


class Preparer:
    """Prepares changes and rows for all channels. ``cache_entries`` bounds what look-ups remember, all together."""

    def __init__(
        self, channels: Mapping[str, Channel], source: LookupSource, cache_entries: int = 100_000
    ) -> None:
        self._channels = channels
        self._source = source
        self._cache = LookupCache(cache_entries)
        self._feeds: dict[str, list[Assembler]] = {}
        self._assemblers: dict[str, Assembler] = {}
        self._readers: dict[str, list[Lookup]] = {}
        #: Of a batch that could not be prepared to its end: it will come again, but its results are void already.
        self._unannounced: dict[tuple[LookupId, int], ScopeChange] = {}
        for channel in channels.values():
            assembler = self._assemblers[channel.name] = Assembler(channel)
            self._feeds.setdefault(channel.source, []).append(assembler)
            for lookup in channel.lookups.values():
                for table in lookup.reads:
                    self._readers.setdefault(table, []).append(lookup)

    async def prepare(self, changes: Sequence[Change], *, replayed: bool = False) -> Prepared:
        """What ``changes`` (in id order) mean for the channels.

        ``replayed``: they have been prepared before, so what look-ups gave before them is not known any more.
        """
        changes = in_causal_order(changes)
        flows = self._flows(changes)
        announced, unknown = await self._announced(changes)
        before, prior = Known(self._cache), Known(self._cache)
        for assembler, rows in flows:
            before.recall(assembler.needs(row.old for row in rows if row.op == "delete"))
        for assembler, rows in announced if not replayed else ():
            prior.recall(assembler.needs(row.old for row in rows))
        scope_changes = self._void(changes, remember=not replayed)
        needs = [before.missing()]
        needs += [assembler.needs(row.new for row in rows) for assembler, rows in announced]
        for assembler, rows in flows:
            needs.append(assembler.needs(row.new for row in rows))
            needs.append(assembler.needs(row.old for row in rows if row.op == "update"))
            needs.append(assembler.needs(image for row in rows for image in row.between or ()))
        known, faults, _ = await self._known(needs)
        for moved in scope_changes:
            self._unannounced.pop(((moved.channel, moved.lookup), moved.xid), None)
        before.complete(known)
        events: list[tuple[int, PreparedEvent]] = []
        for assembler, rows in flows:
            for row, event in zip(rows, assembler.events(rows, known, before), strict=True):
                events.append((row.serial, event))
                if len(events) % _AT_ONCE == 0:
                    await asyncio.sleep(0)
                if event.fault:
                    faults.append(Fault(event.channel, event.id, event.fault))
        for assembler, rows in announced:
            # Where the earlier result is not known any more the old row is not either, and the whole row is told.
            told = assembler.events(rows, known, prior, old_from=prior)
            events += [(row.serial, event) for row, event in zip(rows, told, strict=True)]
        if len(flows) + len(announced) > 1:
            places = {change.id: place for place, change in enumerate(changes)}
            events.sort(key=lambda placed: places[placed[0]])
        return Prepared(
            events=tuple(event for _, event in events),
            truncations=tuple(
                Truncation(assembler.channel.name, change.xid)
                for change in changes
                if change.op == "truncate"
                for assembler in self._feeds.get(change.source, ())
            )
            + unknown,
            scope_changes=scope_changes,
            faults=tuple(faults),
        )

    async def prepare_rows(self, channel: Channel, images: Sequence[Mapping[str, Any]]) -> PreparedRows:
        """The rows of a snapshot: images of columns as :meth:`prepare` gets them, in their order.

        Raises DatabaseError if a look-up fails: a snapshot without the rows that need it would pass for whole.
        """
        assembler = self._assemblers.get(channel.name)
        if assembler is None or assembler.channel.fingerprint != channel.fingerprint:
            assembler = Assembler(channel)
        ids = [lookup.id for lookup in channel.lookups.values()]
        for _ in range(_LOOKUP_ROUNDS):
            versions = [self._cache.version(each) for each in ids]
            known, _, failed = await self._known([assembler.needs(images)])
            if failed:
                raise DatabaseError(
                    f"channel {channel.name} cannot be shown now: a look-up fails; try again later"
                )
            if versions == [self._cache.version(each) for each in ids]:
                break
        built = list(assembler.rows(images, known))
        rows = tuple(row for row in built if not isinstance(row, RowInvalid))
        faults = tuple(Fault(channel.name, "", str(why)) for why in built if isinstance(why, RowInvalid))
        return PreparedRows(rows, faults)

    async def reverse(self, lookup: Lookup, values: Sequence[Any]) -> Sequence[Any]:
        """The keys of ``lookup`` whose results hold one of ``values``, by its ``reverse`` query."""
        return await self._source.look_up_reverse(lookup.reverse, values)

    async def _announced(
        self, changes: Sequence[Change]
    ) -> tuple[list[tuple[Assembler, list[RowChange]]], tuple[Truncation, ...]]:
        """Updates of rows that did not change themselves; and channels of which any row may have changed so."""
        told: list[tuple[Assembler, list[RowChange]]] = []
        unknown: list[Truncation] = []
        new: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
        for change in changes:
            if change.op == "insert" and change.key is not None:
                new.setdefault((change.source, change.xid), []).append(change.key)
        asked: dict[LookupId, list[Announcement]] = {}
        for each in announcements(self._readers, changes):
            if each.keys is None:
                unknown.append(Truncation(each.lookup.channel, each.change.xid))
            elif each.keys:
                asked.setdefault(each.lookup.id, []).append(each)
        # One query for each look-up, for nobody else is told anything while it runs.
        for (name, _), some in asked.items():
            assembler, key = self._assemblers[name], some[0].lookup.key
            channel = assembler.channel
            keys = list(dict.fromkeys(text for each in some for text in each.keys or ()))
            statement = images_by(channel.source, channel.columns[channel.source], key)
            try:
                images = await self._source.look_up_reverse(statement, keys)
            except (CaptureDegraded, DatabaseUnreachable):
                raise
            except DatabaseError:
                unknown += [Truncation(name, each.change.xid) for each in some]
                continue
            rows: dict[str, list[Mapping[str, Any]]] = {}
            for image in images:
                rows.setdefault(key_text(image[key]), []).append(image)
            for each in some:
                concerned = [row for text in each.keys or () for row in rows.get(text, ())]
                fresh = new.get((channel.source, each.change.xid), ())
                told.append((assembler, each.updates(channel, _without(concerned, fresh))))
        return told, tuple(unknown)

    def _flows(self, changes: Sequence[Change]) -> list[tuple[Assembler, list[RowChange]]]:
        by_source: dict[str, list[RowChange]] = {}
        for change in changes:
            if change.source in self._feeds:
                by_source.setdefault(change.source, []).extend(row_changes(change))
        return [
            (assembler, fold(rows) if assembler.channel.coalesce else rows)
            for source, rows in by_source.items()
            for assembler in self._feeds[source]
        ]

    def _void(self, changes: Sequence[Change], *, remember: bool) -> tuple[ScopeChange, ...]:
        xids = {change.xid for change in changes}
        moved = {key: change for key, change in self._unannounced.items() if key[1] in xids}
        for change in changes:
            for lookup in self._readers.get(change.source, ()):
                if not touches(lookup, change):
                    continue
                keys = keys_touched(lookup, change)
                known = keys is not None and any(self._cache.get(lookup.id, key)[0] for key in keys)
                if moves_scope(lookup, change, known):
                    values = values_touched(lookup, change)
                    if (other := moved.get((lookup.id, change.xid))) is not None:
                        values = together(values, other.values)
                    moved[lookup.id, change.xid] = ScopeChange(*lookup.id, change.xid, values)
                self._cache.drop(lookup.id, keys)
        if remember:
            self._unannounced |= moved
        return tuple(moved.values())

    async def _known(self, needs: Iterable[Needs]) -> tuple[Known, list[Fault], bool]:
        """What look-ups give, what to say of those that gave nothing, and whether one of them failed as such."""
        known = Known(self._cache)
        for each in needs:
            known.recall(each)
        faults: list[Fault] = []
        failed = False
        for lookup, keys in known.missing():
            found, error = await self._ask(lookup, keys)
            known.learn(lookup, found)
            if error is not None:
                faults.append(Fault(lookup.channel, "", f"look-up {lookup.name} failed: {error}"))
                failed = failed or not isinstance(error, LookUpRefused)
        return known, faults, failed

    async def _ask(
        self, lookup: Lookup, keys: Mapping[str, Any]
    ) -> tuple[dict[str, Found], DatabaseError | None]:
        """What ``lookup`` gives for ``keys`` (by their text), and why it gives nothing for some of them, if so.

        One key that it cannot take (no number where it wants one) shall not cost the others their answer, so where
        keys are at fault they are halved until those are found.
        """
        version = self._cache.version(lookup.id)
        found: dict[str, Found] = {}
        why: DatabaseError | None = None
        asked, refusals = [list(keys)], 0
        while asked:
            some = asked.pop()
            try:
                answer = await self._source.look_up(lookup.sql, [keys[text] for text in some])
            except (CaptureDegraded, DatabaseUnreachable):
                raise
            except DatabaseError as error:
                refusals += isinstance(error, LookUpRefused)
                if isinstance(error, LookUpRefused) and len(some) > 1 and refusals <= _REFUSALS:
                    half = len(some) // 2
                    asked += [some[half:], some[:half]]
                else:
                    why = error
                    found |= dict.fromkeys(some, LOOKUP_FAILED)
            else:
                given = results(some, answer)
                self._cache.store(lookup.id, version, given)
                found |= given
        return found, why


def _without(
    images: Iterable[Mapping[str, Any]], keys: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """``images`` but for the rows of ``keys``, which are new by the very transaction that the news is of.

    Whoever is told of such a row is told all that is known of it, whichever relay tells it and in whatever parts, for
    look-ups see the whole transaction. Of one committed earlier somebody may have been told when there was less.
    """
    columns = sorted(keys[0]) if keys else []
    known = {tuple(key_text(key[column]) for column in columns) for key in keys}
    return [image for image in images if tuple(key_text(image[column]) for column in columns) not in known]
