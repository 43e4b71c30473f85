"""Every metric the relay exposes, by name; docs/operations.md explains what to watch.

The objects are module level because Prometheus speaks of a process, and a process runs one relay. Only code
that does I/O imports this: pure code returns facts, and its caller counts them.

What happens once per write to a client is counted in plain integers (:data:`traffic`) and turned into
counters when somebody scrapes: the lock of a prometheus_client counter costs about as much as the rest of
the delivery.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "REGISTRY", "Traffic", "observe_delivery", "render", "traffic"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The time at which each counter was made is of no use here and would double the page.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)

#: From half a millisecond, about the best a poll can do, to the ten seconds after which nobody calls it live.
_LATENCY = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Most events of one batch that are put into the latency histogram one by one.
_SAMPLES = 200


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY)


# Capture: from Postgres.
capture_up = _gauge("relay_capture_up", "1 while the outbox is being read, 0 while degraded")
capture_state = _gauge("relay_capture_state", "1 for the present state: awake, drowsy, asleep, down", "state")
capture_lag_seconds = _gauge(
    "relay_capture_lag_seconds", "Seconds since the moment that everything published is complete up to"
)
polls_total = _counter("relay_polls_total", "Polls of the outbox")
poll_seconds = _gauge("relay_poll_seconds", "Time of the last poll")
events_total = _counter("relay_events_total", "Changes read from the outbox", "source")
unannounced_events_total = _counter(
    "relay_unannounced_events_total",
    "Changes that the safety poll found and no wake-up announced; healthy is 0",
)
wakeups_total = _counter("relay_wakeups_total", "Notifications that announced changes")
reconnects_total = _counter(
    "relay_reconnects_total", "Times the sessions to the database were opened again after a loss"
)
bad_payloads_total = _counter("relay_bad_payloads_total", "NOTIFY payloads that were not understood")
bad_outbox_rows_total = _counter("relay_bad_outbox_rows_total", "Outbox rows that could not be read")
notify_queue_usage = _gauge(
    "relay_notify_queue_usage", "Fraction of the notification queue of Postgres in use"
)
prunes_total = _counter("relay_prunes_total", "Rounds of pruning the outbox")

# Routing: who gets what.
quarantined_total = _counter(
    "relay_quarantined_total", "Rows that failed validation and were withheld", "channel"
)
scrubbed_total = _counter(
    "relay_scrubbed_total", "Values from which the last-line scan removed something", "channel", "field"
)
resyncs_total = _counter("relay_resyncs_total", "Subscriptions told to forget what they have", "reason")
groups = _gauge("relay_groups", "Groups of subscribers with the same channel, filter and scope")
subscriptions = _gauge("relay_subscriptions", "Live subscriptions")

# Gateway: to clients.
connections = _gauge("relay_connections", "Open client connections")
connections_total = _counter("relay_connections_accepted_total", "Client connections accepted")
refused_total = _counter("relay_refused_total", "Requests refused before the upgrade", "code")
api_requests_total = _counter(
    "relay_api_requests_total", "Requests below /api/, by what was asked for", "path"
)
closed_total = _counter("relay_closed_total", "Connections closed by the relay", "code")
auth_failures_total = _counter("relay_auth_failures_total", "Tokens refused", "code")
errors_sent_total = _counter("relay_errors_sent_total", "Error messages sent to clients", "code")
requests_total = _counter("relay_requests_total", "Messages received from clients", "type")
drops_total = _counter(
    "relay_drops_total", "Connections let go because their buffer was full or they fell silent"
)
replays_total = _counter("relay_replays_total", "Cursors honoured, from memory or from the outbox", "origin")
resumes_refused_total = _counter(
    "relay_resumes_refused_total", "Cursors that could not be honoured", "reason"
)
counts_total = _counter("relay_counts_total", "Times an aggregate was counted in SQL", "channel")
snapshots_total = _counter("relay_snapshots_total", "Snapshots taken from the database")
jwks_fetches_total = _counter("relay_jwks_fetches_total", "Fetches of the key set", "outcome")
delivery_seconds = Histogram(
    "relay_delivery_seconds",
    "From the change in the database to the write to the clients' sockets",
    buckets=_LATENCY,
    registry=REGISTRY,
)
buffered_bytes = _gauge(
    "relay_buffered_bytes", "Bytes waiting in the buffers of all clients, at the last heartbeat"
)


class Traffic(Collector):
    """What was written to clients, counted without a lock: only the event loop's thread adds to it."""

    __slots__ = ("bytes", "messages", "writes")

    def __init__(self) -> None:
        self.writes = 0
        self.messages = 0
        self.bytes = 0

    def collect(self) -> Iterator[Metric]:
        """The counters, as prometheus_client asks for them."""
        yield CounterMetricFamily("relay_writes", "Writes to client sockets", self.writes)
        yield CounterMetricFamily("relay_messages_sent", "Messages sent to clients", self.messages)
        yield CounterMetricFamily("relay_bytes_sent", "Bytes sent to clients, before TLS", self.bytes)


traffic = Traffic()
REGISTRY.register(traffic)


def observe_delivery(changed_at: Iterable[datetime], now: datetime) -> None:
    """Record how old these changes are at ``now``, the moment after their batch was written to the sockets.

    A large commit is sampled by its first changes: a million observations would delay the next batch.
    Clocks that disagree give no negative ages.
    """
    for number, at in enumerate(changed_at):
        if number == _SAMPLES:
            return
        delivery_seconds.observe(max(0.0, (now - at).total_seconds()))


def render() -> bytes:
    """All metrics in the Prometheus text format."""
    return generate_latest(REGISTRY)
