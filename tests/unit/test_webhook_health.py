"""The health of an endpoint is what a recount of all its webhooks gives, the latest that was taken back included."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config_aggregates import AggregateSettings
from relay.routing.aggregates.audit import differences
from relay.routing.aggregates.engine import Recount
from relay.routing.aggregates.minutes import minute_at
from relay.routing.aggregates.webhooks import WebhookHealth
from tests.support.aggregates import NOW, WEBHOOKS, Ledger, health_of, webhook_settings

STATUSES = ("received", "processing", "processed", "processed", "failed", "failed", "retrying", "odd", None)
AGES = (-90, 0, 1, 59, 60, 61, 1439, 1440, 1441, 10080, 43200, 43201, 90000)
SETTINGS = (
    webhook_settings(),
    webhook_settings(response_window="all", unhealthy_failures=2, unhealthy_minutes=1441),
)

moments = st.one_of(
    st.none(),
    st.tuples(st.sampled_from(AGES), st.integers(0, 3_000_000)).map(
        lambda age: (NOW - timedelta(minutes=age[0], microseconds=age[1])).isoformat()
    ),
)
messages = st.sampled_from([None, "", "timeout", "Größe", "z" * 600])
writes = st.tuples(st.just("write"), st.integers(1, 9), st.sampled_from(STATUSES), moments, moments, messages)
deletes = st.tuples(st.just("delete"), st.integers(1, 9))
ticks = st.tuples(st.just("tick"), st.sampled_from([1, 60, 1440]))


@given(st.sampled_from(SETTINGS), st.lists(st.one_of(writes, writes, deletes, ticks), max_size=40))
def test_the_health_is_what_a_recount_gives(settings: AggregateSettings, steps: list[Any]) -> None:
    """After any writes, deletes and steps of the clock, all values are those of the rows."""
    ledger, now = Ledger(), NOW
    engine = WebhookHealth(settings, minute_at(now))
    engine.load("successes", [])
    engine.load("failures", [])
    for step in steps:
        if step[0] == "tick":
            now += timedelta(minutes=step[1])
            engine.advance(minute_at(now))
            assert differences(engine.values(), health_of(ledger.tables, settings, now)) == []
            continue
        if step[0] == "write":
            _, key, status, created_at, processed_at, message = step
            row = {"created_at": created_at, "processed_at": processed_at, "error_message": message}
            engine.apply(ledger.write(WEBHOOKS, key, status=status, **row))
        elif (change := ledger.delete(WEBHOOKS, step[1])) is not None:
            engine.apply(change)
    assert differences(engine.values(), health_of(ledger.tables, settings, now)) == []


def failure(minutes: int, message: str = "timeout") -> dict[str, Any]:
    """A webhook that failed so many minutes ago."""
    at = (NOW - timedelta(minutes=minutes)).isoformat()
    return {"status": "failed", "created_at": at, "processed_at": at, "error_message": message}


def test_what_is_loaded_and_what_moves_come_in_any_order() -> None:
    """The retry of a failed webhook may be applied before the count that knows of the failure has been added."""
    ledger, engine = Ledger(), WebhookHealth(webhook_settings(), minute_at(NOW))
    ledger.write(WEBHOOKS, 1, **failure(3, "old"))
    done = NOW.isoformat()
    engine.apply(ledger.write(WEBHOOKS, 1, **failure(3) | {"status": "processed", "processed_at": done}))
    at = NOW - timedelta(minutes=3)
    microseconds = round(at.timestamp()) * 1_000_000
    engine.load("webhooks", [(minute_at(at), "failed", 1, 0, None)])
    engine.load("standing", [("received", 2, 0, None), ("retrying", 1, 0, None)])
    engine.load("successes", [])
    engine.load("failures", [(microseconds, "old", 1)])
    values = engine.values()["webhook_status"]
    assert values["failure_count_24h"] == 0
    assert values["last_failure"] is None
    assert values["last_success"] == NOW
    assert values["response_time_avg"] == 180_000
    assert (values["pending_count"], values["retrying_count"]) == (2, 1)


def test_an_endpoint_is_unhealthy_from_so_many_failures_on() -> None:
    """Four failures within the hour are well, the fifth is not, and one of an hour ago does not count."""
    ledger, engine = Ledger(), WebhookHealth(webhook_settings(), minute_at(NOW))
    for key in range(4):
        engine.apply(ledger.write(WEBHOOKS, key, **failure(60)))
    engine.apply(ledger.write(WEBHOOKS, 4, **failure(61)))
    assert engine.values()["webhook_status"]["is_healthy"] is True
    engine.apply(ledger.write(WEBHOOKS, 5, **failure(0)))
    assert engine.values()["webhook_status"]["is_healthy"] is False


def test_a_message_is_cut_and_an_undeclared_one_is_not_shown() -> None:
    """Of a long message the first 500 characters are shown; without its column there is none."""
    for settings, shown in ((webhook_settings(), "ü" * 500), (webhook_settings(error_message=""), None)):
        engine = WebhookHealth(settings, minute_at(NOW))
        engine.apply(Ledger().write(WEBHOOKS, 1, **failure(0, "ü" * 501)))
        assert engine.values()["webhook_status"]["error_message_last"] == shown


def test_times_outside_of_the_calendar_are_no_times() -> None:
    """An infinite or ancient processed_at is neither a last success nor an answer that took long."""
    ledger, engine = Ledger(), WebhookHealth(webhook_settings(), minute_at(NOW))
    for key, odd in enumerate(
        ("infinity", "-infinity", "0044-03-15T00:00:00+00:00 BC", "12026-01-01T00:00:00+00:00")
    ):
        row = {"status": "processed", "created_at": NOW.isoformat(), "processed_at": odd, "error_message": ""}
        engine.apply(ledger.write(WEBHOOKS, key, **row))
    values = engine.values()["webhook_status"]
    assert values["last_success"] is None
    assert values["response_time_avg"] == 0


def test_a_row_that_was_not_captured_is_unknown() -> None:
    """A column that was not captured when a row was written cannot be counted."""
    change = Ledger().write(WEBHOOKS, 1, status="failed", created_at=NOW.isoformat(), processed_at=None)
    with pytest.raises(Recount, match="row_unknown"):
        WebhookHealth(webhook_settings(), minute_at(NOW)).apply(change)
