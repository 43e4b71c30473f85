"""Snapshots of a view, taken once for all who ask for the same.

After an outage everybody asks for the same rows at the same moment. A snapshot may be shared by whoever was put on
hold before its reading began: everything published until then is in it, and everything later waits in their buffers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from relay import metrics
from relay.capture.snapshot import Snapshot
from relay.capture.source import Capture, RowsQuery
from relay.capture.throttle import Throttle
from relay.messages import frames
from relay.routing.hub import Hub
from relay.routing.prepare import Preparer
from relay.routing.pushdown import narrow
from relay.routing.view import View

__all__ = ["Page", "SnapshotDesk"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """One ``snapshot`` message, and the Postgres snapshot whose rows it shows."""

    message: bytes
    snapshot: Snapshot


class SnapshotDesk:
    """Takes snapshots through ``capture``, one at a time. ``scan_limit`` bounds the rows read for one of them."""

    def __init__(self, capture: Capture, preparer: Preparer, hub: Hub, *, scan_limit: int) -> None:
        self._capture = capture
        self._preparer = preparer
        self._hub = hub
        self._scan_limit = scan_limit
        self._turn = asyncio.Lock()
        self._latest: dict[tuple[View, int], tuple[int, Page]] = {}
        self._waiting: dict[tuple[View, int], int] = {}
        self._complaint = Throttle()

    async def page(self, view: View, rows: int) -> Page:
        """The first ``rows`` rows of ``view`` as of now or later.

        Raises RelayError: a statement that failed or took too long, CaptureDegraded, Overloaded.
        """
        key = (view, rows)
        asked = self._hub.turn
        self._waiting[key] = self._waiting.get(key, 0) + 1
        try:
            async with self._turn:
                known = self._latest.get(key)
                if known is None or known[0] < asked:
                    begun = self._hub.turn
                    known = self._latest[key] = (begun, await self._take(view, rows))
                return known[1]
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                # Kept for those who already wait, not for later: a snapshot is large and soon out of date.
                del self._waiting[key]
                self._latest.pop(key, None)

    async def _take(self, view: View, rows: int) -> Page:
        channel = view.channel
        narrowed = await narrow(view, self._preparer.reverse)
        scan = rows if narrowed.complete else self._scan_limit
        query = RowsQuery(
            table=channel.source,
            columns=tuple(sorted(channel.columns[channel.source])),
            conditions=narrowed.conditions,
            order=channel.order,
            limit=rows,
            scan_limit=scan,
        )
        found = await self._capture.rows(query)
        prepared = await self._preparer.prepare_rows(channel, found.rows)
        for field in prepared.removals:
            metrics.scrubbed_total.labels(channel.name, field).inc()
        if prepared.faults and (count := self._complaint.due()) is not None:
            why = prepared.faults[0].reason
            log.warning(
                "rows_left_out", channel=channel.name, rows=len(prepared.faults), why=why, snapshots=count
            )
        shown = view.select(prepared.rows, rows)
        # More may match: rows that were not read, could not be, or matched and were not asked for.
        more = len(view.select(prepared.rows, rows + 1)) > rows
        truncated = not found.exhausted or bool(prepared.faults) or more
        metrics.snapshots_total.inc()
        message = frames.Snapshot(channel=channel.name, rows=shown, truncated=truncated).encode()
        return Page(message, found.snapshot)
