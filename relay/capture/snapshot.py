"""What one Postgres snapshot can see, as a value: the arithmetic behind exact reading.

A snapshot ``xmin:xmax:xip`` (PostgreSQL docs, "pg_snapshot") sees every transaction id below ``xmax`` that is not in
``xip``. Two snapshots of one primary, taken one after the other, differ in exactly the transactions that ended between
them, and that difference is all the reader ever asks for:

    began after the first was taken       first.xmax <= xid < second.xmax
    were running then and have ended      xid in first.xip, not in second.xip

Ids given out but not yet committed are no trouble: they are in ``xip`` or at/after ``xmax``. What a snapshot cannot
survive is a crash, after which Postgres may give out again an id that had ended without a flushed commit. Such an id
would count as seen. ``clamp`` therefore gives up every claim about ids that left no row in the outbox.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Snapshot"]

#: FirstNormalFullTransactionId: no ordinary transaction has a lower id.
FIRST_XID = 3

_TEXT = re.compile(r"(\d{1,20}):(\d{1,20}):((?:\d{1,20}(?:,\d{1,20})*)?)")
_XID8_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Transactions seen: all ids below ``xmax`` but those in ``xip``.

    ``xmin`` is the lowest id in ``xip``, or else ``xmax``.
    """

    xmin: int
    xmax: int
    xip: frozenset[int]

    @classmethod
    def of(cls, xmax: int, xip: Iterable[int] = ()) -> Snapshot:
        """The snapshot that sees all below ``xmax`` except ``xip``. Ids at or past ``xmax`` are dropped: unseen anyway.

        ``xmin`` is derived: Postgres may report a lower one (it counts ids that have just ended), which says the same.
        """
        running = frozenset(x for x in xip if x < xmax)
        return cls(min(running, default=xmax), xmax, running)

    @classmethod
    def nothing(cls) -> Snapshot:
        """The snapshot that sees no ordinary transaction at all."""
        return cls.of(FIRST_XID)

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Read ``pg_snapshot`` output, e.g. ``10:20:10,14,15``. Raises ValueError when it is not one."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError("not a pg_snapshot")
        xmin, xmax = int(match[1]), int(match[2])
        xip = frozenset(int(x) for x in match[3].split(",")) if match[3] else frozenset()
        if not (0 < xmin <= xmax <= _XID8_MAX) or any(not xmin <= x < xmax for x in xip):
            raise ValueError("a pg_snapshot has 0 < xmin <= xip < xmax")
        return cls.of(xmax, xip)

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.xip)))}"

    def sees(self, xid: int) -> bool:
        """Whether a row written by ``xid`` is visible, given that ``xid`` committed."""
        return xid < self.xmax and xid not in self.xip

    def covers(self, other: Snapshot) -> bool:
        """Whether everything ``other`` sees is seen here too."""
        if any(other.sees(x) for x in self.xip):
            return False
        # Ids in [self.xmax, other.xmax) are unseen here, so other may not see a single one of them.
        unseen = other.xmax - self.xmax
        return unseen <= 0 or unseen == sum(1 for x in other.xip if x >= self.xmax)

    def clamp(self, bound: int) -> Snapshot:
        """The same knowledge, with no claim about ids at or past ``bound`` (1 + the greatest xid that left a row)."""
        return self if bound >= self.xmax else Snapshot.of(max(bound, FIRST_XID), self.xip)

    def at_most(self, ids: int) -> Snapshot:
        """A snapshot this one covers, with at most ``ids`` ids in ``xip``.

        It sees less, so whoever resumes from it gets some events again, and loses none.
        """
        if len(self.xip) <= ids:
            return self
        kept = sorted(self.xip)
        return Snapshot.of(kept[ids], kept[:ids])
