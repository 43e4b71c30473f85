"""One aggregate with those who watch it: what it knows, since when, and what each of them has been told.

It is plain synchronous code. Whoever runs it brings every batch, counts in SQL when :attr:`Room.wanted` says so, and
asks now and then who has to be told something: never for each change, so a thousand payments a second are four
messages a second, each with the sum of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from relay.capture.batch import Batch
from relay.capture.change import Change
from relay.capture.snapshot import Snapshot
from relay.messages.frames import Recount as RecountMessage
from relay.routing.aggregates.aggregate import Aggregate
from relay.routing.aggregates.audit import Audit
from relay.routing.aggregates.count import Count
from relay.routing.aggregates.engine import Recount, Values
from relay.routing.aggregates.sheet import NOTHING, Sheet
from relay.routing.outlet import Bundle

__all__ = ["Room", "Screen"]

#: The version of whoever has been told that the numbers are being counted anew.
_TOLD: Final = -1


class Screen(Protocol):
    """What a room needs of a connection."""

    @property
    def busy(self) -> bool:
        """Whether what was sent before is still on its way. Numbers wait for it: late ones are better sums."""

    def offer(self, bundle: Bundle) -> bool:
        """Send ``bundle``. False: full or gone, and the room should forget it."""


class Room:
    """``reason`` says why it is being counted, "" once it is known; ``degraded`` since when some table is not captured
    whole, if one is not: the numbers may be wrong from then on, so no later moment is told."""

    def __init__(self, aggregate: Aggregate) -> None:
        self.aggregate = aggregate
        self.reason = "start"
        self.recounts = 0
        self.degraded: datetime | None = None
        self._count: Count | None = None
        self._sheet: Sheet | None = None
        self._published: tuple[Snapshot, datetime] | None = None
        self._settled = False
        self._moved = False
        self._spoke = False
        self._screens: dict[Screen, int] = {}
        self._bundles: dict[int, Bundle] = {}
        self._audits: list[Audit] = []

    # Counting

    @property
    def wanted(self) -> bool:
        """Whether it has to be counted, and nobody is at it."""
        return self._count is None

    @property
    def count(self) -> Count | None:
        """The count that holds, or is under way."""
        return self._count

    def listen(self) -> Count:
        """Begin a count; from now on no change is missed. The snapshot has to be taken after this."""
        self._count = Count(self.aggregate)
        return self._count

    def abandon(self) -> None:
        """A count came to nothing."""
        self._count = None

    def recount(self, reason: str) -> None:
        """What is known is void, for ``reason``."""
        self._count = self._sheet = None
        self._settled = False
        self.reason = reason
        self.recounts += 1
        self._renew()
        self._screens = dict.fromkeys(self._screens, NOTHING)
        for audit in self._audits:
            audit.void = True

    # What happens

    def hear(self, change: Change) -> None:
        """A change of one of its tables."""
        if self._count is None:
            return
        try:
            self._count.hear(change)
        except Recount as why:
            self.recount(why.reason)
        for audit in self._audits:
            audit.changes.append(change)
        # In the middle of a batch, or of a large commit, the numbers are those of no moment.
        self._settled = False
        self._moved = True

    def publish(self, batch: Batch) -> None:
        """A batch whose changes have been heard. A gap before them must have been seen to."""
        if self._count is None or batch.snapshot is None or batch.lagging & self.aggregate.sources:
            return
        minute = self._count.minute
        try:
            self._settled = self._count.settle(batch.snapshot, batch.as_of)
        except Recount as why:
            self.recount(why.reason)
            return
        if self._settled:
            self._published = batch.snapshot, batch.as_of
            self._moved |= self._count.minute != minute

    def refresh(self) -> None:
        """Take over what has moved into what is shown."""
        if not self._settled or not (self._moved or self._sheet is None):
            return
        assert self._count is not None
        assert self._count.engine is not None
        assert self._published is not None
        _, as_of = self._published
        try:
            values = self._count.engine.values()
        except Recount as why:
            self.recount(why.reason)
            return
        self._moved = False
        self.reason = ""
        self._renew()
        if self._sheet is None:
            self._sheet = Sheet(self.aggregate.name, self.aggregate.message, values, self._told(as_of))
        else:
            self._sheet.update(values, self._told(as_of))

    def touch(self) -> None:
        """A sign of life, where nothing was said since the last one: that nothing changed, or is still being counted.

        A screen that shows nothing else would take its connection for dead, and could not tell how old its numbers are.
        """
        self.refresh()
        if not self._spoke:
            self._renew()
            if self._sheet is None:
                self._screens = dict.fromkeys(self._screens, NOTHING)
            else:
                # In the middle of a large commit it is the old moment that the numbers are of.
                current = self._settled and self._published is not None
                as_of = self._published[1] if current and self._published else self._sheet.as_of
                self._sheet.update(self._sheet.values, self._told(as_of))
        self._spoke = False

    def _told(self, as_of: datetime) -> datetime:
        return as_of if self.degraded is None else min(as_of, self.degraded)

    def _renew(self) -> None:
        """There is something new to tell."""
        self._bundles.clear()
        self._spoke = True

    @property
    def values(self) -> Values | None:
        """What is shown, None while it is being counted."""
        return None if self._sheet is None else self._sheet.values

    @property
    def as_of(self) -> datetime | None:
        """The moment that ``values`` are of."""
        return None if self._sheet is None else self._sheet.as_of

    # Comparing with the database

    def audit(self) -> Audit:
        """Note every change from now on, until :meth:`close`: a snapshot taken later can be gone back to."""
        audit = Audit(void=self._count is None or not self._count.whole)
        self._audits.append(audit)
        return audit

    def close(self, audit: Audit) -> None:
        """Note no more."""
        self._audits.remove(audit)

    def values_at(self, audit: Audit, snapshot: Snapshot, now: datetime) -> Values | None:
        """The values as ``snapshot`` shows the tables, at ``now``; None if not everything of it has been published."""
        if audit.void or not self._settled or self._count is None or self._published is None:
            return None
        published, as_of = self._published
        if as_of < now or not published.covers(snapshot) or self._count.engine is None:
            return None
        return audit.rewound(self._count.engine, self._count.minute, snapshot, now)

    # Who watches

    @property
    def screens(self) -> int:
        """How many watch."""
        return len(self._screens)

    def join(self, screen: Screen) -> bool:
        """Let ``screen`` watch, and show it what there is, whole, at once. False: it is busy, so that is still owed."""
        self._screens[screen] = NOTHING
        return self.tell(screen)

    def leave(self, screen: Screen) -> None:
        """It does not watch any more. Leaving twice is fine."""
        self._screens.pop(screen, None)

    def owed(self) -> list[Screen]:
        """Those who have not been told everything yet."""
        current = _TOLD if self._sheet is None else self._sheet.version
        return [screen for screen, version in self._screens.items() if version != current]

    def tell(self, screen: Screen) -> bool:
        """Tell ``screen`` what it does not know, in one message. False: it is busy; ask again later."""
        version = self._screens.get(screen)
        sheet = self._sheet
        current = _TOLD if sheet is None else sheet.version
        if version is None or version == current:
            return True
        if screen.busy:
            return False
        if screen.offer(self._bundle(version, sheet)):
            self._screens[screen] = current
        else:
            self.leave(screen)
        return True

    def _bundle(self, version: int, sheet: Sheet | None) -> Bundle:
        """What screens at ``version`` are owed: one bundle for all of them."""
        version = max(version, NOTHING)
        bundle = self._bundles.get(version)
        if bundle is None:
            if sheet is None:
                text = RecountMessage(channel=self.aggregate.name, reason=self.reason).encode()
            else:
                text = sheet.since(version)
            bundle = self._bundles[version] = Bundle((text,))
        return bundle
