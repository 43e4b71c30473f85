"""Brings the facts that capture and routing keep about themselves to the metrics page, and rows withheld to the log.

Those rooms count in plain attributes, because code that decides has no business with a metrics library or a logger.
"""

from __future__ import annotations

from collections import Counter as Counted
from collections import defaultdict
from datetime import datetime

import structlog
from prometheus_client import Counter

from relay import metrics
from relay.capture.batch import Batch
from relay.capture.throttle import Throttle
from relay.gateway.services import Services
from relay.routing.event import Prepared

__all__ = ["Mirror"]

_STATES = ("awake", "drowsy", "asleep", "down")

log = structlog.get_logger(__name__)


class Mirror:
    """Called after every batch and every change of capture's status."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._counted: dict[str, int] = {}
        #: By channel and the head of the reason (a field, a look-up: not the text of an error, which may vary without
        #: end). So a table full of bad rows is one line a minute, and does not drown a second trouble.
        self._complaints: defaultdict[tuple[str, str], Throttle] = defaultdict(Throttle)

    def published(self, batch: Batch, prepared: Prepared, now: datetime) -> None:
        """``batch`` has been handed to the sockets at ``now``."""
        metrics.observe_delivery((change.at for change in batch.changes), now)
        # Labels cost more than counting, and a large commit has a million changes of one source.
        for source, count in Counted(change.source for change in batch.changes).items():
            metrics.events_total.labels(source).inc(count)
        for channel, field in prepared.removals:
            metrics.scrubbed_total.labels(channel, field).inc()
        for fault in prepared.faults:
            metrics.quarantined_total.labels(fault.channel).inc()
            due = self._complaints[fault.channel, fault.reason.partition(":")[0]].due()
            if due is not None:
                log.warning(
                    "row_withheld",
                    channel=fault.channel,
                    event_id=fault.event_id,
                    reason=fault.reason,
                    count=due,
                )
        self.refresh()

    def refresh(self) -> None:
        """Bring everything up to date."""
        stats, hub = self._services.capture.stats, self._services.hub
        self._count("polls", stats.polls, metrics.polls_total)
        self._count("unannounced", stats.unannounced_events, metrics.unannounced_events_total)
        self._count("bad_payloads", stats.bad_payloads, metrics.bad_payloads_total)
        self._count("bad_rows", stats.bad_rows, metrics.bad_outbox_rows_total)
        self._count("wakes", stats.wakes, metrics.wakeups_total)
        self._count("reconnects", stats.reconnects, metrics.reconnects_total)
        metrics.notify_queue_usage.set(stats.queue_usage)
        metrics.poll_seconds.set(stats.poll_seconds)
        metrics.groups.set(hub.groups)
        for state in _STATES:
            metrics.capture_state.labels(state).set(stats.state == state)

    def _count(self, name: str, now: int, counter: Counter) -> None:
        counter.inc(now - self._counted.get(name, 0))
        self._counted[name] = now
