"""Metrics come out under the names that alerts are written for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from relay import metrics


def exposed() -> dict[str, float]:
    """Every sample without labels, as a scrape sees it."""
    samples = {}
    for line in metrics.render().decode().splitlines():
        if not line.startswith("#") and "{" not in line:
            name, value = line.split(" ")
            samples[name] = float(value)
    return samples


def test_the_promised_metrics_are_there() -> None:
    """A scrape holds latency, lag, queue, drops, connections, groups and unannounced events."""
    names = set(exposed())
    assert {
        "relay_unannounced_events_total",
        "relay_delivery_seconds_count",
        "relay_capture_lag_seconds",
        "relay_notify_queue_usage",
        "relay_drops_total",
        "relay_connections",
        "relay_groups",
        "relay_messages_sent_total",
        "relay_writes_total",
        "relay_bytes_sent_total",
    } <= names
    text = metrics.render().decode()
    for labelled in ("relay_quarantined_total", "relay_auth_failures_total", "relay_refused_total"):
        assert f"# TYPE {labelled} counter" in text


def test_traffic_counts_without_a_lock() -> None:
    """What connections add to the plain integers is what a scrape shows."""
    before = exposed()["relay_messages_sent_total"]
    metrics.traffic.messages += 3
    assert exposed()["relay_messages_sent_total"] == before + 3


def test_delivery_is_observed_per_event_and_sampled() -> None:
    """Each change of a batch counts once; of a very large batch only the first; a clock behind ours gives
    no negative age."""
    now = datetime.now(UTC)
    before = exposed()
    metrics.observe_delivery([now - timedelta(milliseconds=3), now + timedelta(seconds=9)], now)
    after = exposed()
    assert after["relay_delivery_seconds_count"] == before["relay_delivery_seconds_count"] + 2
    assert 0.002 < after["relay_delivery_seconds_sum"] - before["relay_delivery_seconds_sum"] < 0.004
    metrics.observe_delivery([now] * 100_000, now)
    assert exposed()["relay_delivery_seconds_count"] < after["relay_delivery_seconds_count"] + 1000
