"""Which sources changed between two snapshots, and between which ids: known at once, however many rows there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from relay.capture import queries
from relay.capture.session import Row, Session
from relay.capture.snapshot import Snapshot
from relay.capture.state import interval

__all__ = ["PAIRS", "extents", "steps"]

#: Most pairs of a transaction and a source that are looked up one by one. Each costs about as much as ten rows of a
#: scan; beyond that it is many small commits, not a large one.
PAIRS: Final = 2000
# A scan takes as long as there is to read; a dead link is noticed by the keepalives before that.
_SCAN_DEADLINE: Final = 600


async def extents(session: Session, base: Snapshot, target: Snapshot) -> Mapping[str, tuple[int, int]]:
    """The least and greatest id of each source among the rows that ``target`` sees and ``base`` does not."""
    rows = await session.fetch(queries.EXTENTS, steps(base, target))
    if len(rows) == PAIRS:
        rows = await session.fetch(queries.EXTENTS_BY_SCAN, interval(base, target), deadline=_SCAN_DEADLINE)
    return _joined(rows)


def steps(base: Snapshot, target: Snapshot) -> dict[str, object]:
    """Parameters of the walk: the transactions that began since ``base``, and each of those that ran then."""
    ended = [xid for xid in sorted(base.xip) if target.sees(xid)]
    return {
        "starts": [str(xid) for xid in (base.xmax, *ended)],
        "untils": [str(xid) for xid in (target.xmax, *(xid + 1 for xid in ended))],
        "target": str(target),
        "limit": PAIRS,
    }


def _joined(rows: list[Row]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for source, first, last, visible in rows:
        if visible:
            least, greatest = found.get(source, (first, last))
            found[source] = min(first, least), max(last, greatest)
    return found
