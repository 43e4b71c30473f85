"""The metrics of payments are what a recount of all rows gives, whatever came, went or changed in between."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config_aggregates import AggregateSettings
from relay.routing.aggregates.audit import differences
from relay.routing.aggregates.engine import Recount
from relay.routing.aggregates.minutes import minute_at
from relay.routing.aggregates.payments import PaymentMetrics
from tests.support.aggregates import ALERTS, DISPUTES, NOW, PAYMENTS, Ledger, metrics_of, payment_settings

STATUSES = ("pending", "processing", "completed", "failed", "cancelled", "refunded", "odd", None)
#: Around the edges of every window and point, in minutes before now, and in the future.
AGES = (-5000, -1, 0, 1, 59, 60, 61, 1439, 1440, 1441, 10079, 10080, 10081, 43199, 43200, 43201, 90000)

amounts = st.one_of(st.none(), st.integers(0, 99999999).map(lambda cents: Decimal(cents).scaleb(-2)))
moments = st.one_of(
    st.none(),
    st.tuples(st.sampled_from(AGES), st.integers(0, 59)).map(
        lambda age: (NOW - timedelta(minutes=age[0], seconds=age[1])).isoformat()
    ),
)
payments = st.tuples(st.just("pay"), st.integers(1, 8), st.sampled_from(STATUSES), moments, amounts)
others = st.tuples(
    st.just("other"),
    st.sampled_from([DISPUTES, ALERTS]),
    st.integers(1, 3),
    st.sampled_from(["needs_response", "won", "active", "investigating", "resolved"]),
)
deletes = st.tuples(st.just("delete"), st.sampled_from([PAYMENTS, DISPUTES, ALERTS]), st.integers(1, 8))
ticks = st.tuples(st.just("tick"), st.sampled_from([1, 2, 45, 60, 1440, 3000, 50000]))
SETTINGS = (
    payment_settings(),
    payment_settings(
        succeeded=["completed"], attempted=[], pending_window="24h", average_window="24h", trend_minutes=7
    ),
    payment_settings(paid=["completed", "refunded"], pending_window="7d", stuck_minutes=1440, trend_points=3),
)


@given(
    st.sampled_from(SETTINGS), st.lists(st.one_of(payments, payments, others, deletes, ticks), max_size=40)
)
def test_every_metric_is_what_a_recount_gives(settings: AggregateSettings, steps: list[Any]) -> None:
    """After any writes, back-dated and future ones, deletes and steps of the clock, all values are right."""
    ledger, now = Ledger(), NOW
    engine = PaymentMetrics(settings, minute_at(now))
    for step in steps:
        if step[0] == "tick":
            now += timedelta(minutes=step[1])
            engine.advance(minute_at(now))
            assert differences(engine.values(), metrics_of(ledger.tables, settings, now)) == []
            continue
        if step[0] == "pay":
            _, key, status, created_at, amount = step
            change = ledger.write(PAYMENTS, key, status=status, created_at=created_at, amount=amount)
        elif step[0] == "other":
            change = ledger.write(step[1], step[2], status=step[3])
        else:
            deleted = ledger.delete(step[1], step[2])
            if deleted is None:
                continue
            change = deleted
        engine.apply(change)
    assert differences(engine.values(), metrics_of(ledger.tables, settings, now)) == []


def loaded(settings: AggregateSettings, rows: Sequence[dict[str, Any]], now: datetime) -> PaymentMetrics:
    """An engine that was loaded with what SQL finds."""
    engine = PaymentMetrics(settings, minute_at(now))
    for row in rows:
        amount = row["amount"]
        found = (minute_at(row["created_at"]), row["status"], 1, amount is not None, amount or Decimal(0))
        engine.load("transactions", [found])
    pending = sum(row["status"] in ("pending", "processing") for row in rows)
    engine.load("pending", [(pending, pending)])
    return engine


def test_what_is_loaded_and_what_moves_come_in_any_order() -> None:
    """A change of a row may be applied before the count that knows its old state has been added."""
    settings, ledger = payment_settings(), Ledger()
    created_at = NOW - timedelta(minutes=3)
    row = {"status": "pending", "created_at": created_at.isoformat(), "amount": Decimal("10.00")}
    ledger.write(PAYMENTS, 1, **row)
    moved = ledger.write(PAYMENTS, 1, **row | {"status": "completed"})
    engine = loaded(settings, [], NOW)
    engine.apply(moved)
    engine.load("transactions", [(minute_at(created_at), "pending", 1, 1, Decimal("10.00"))])
    engine.load("pending", [(1, 1)])
    engine.load("disputes", [(2,)])
    engine.load("alerts", [(3,)])
    values = engine.values()["metrics"]
    assert (values["total_transactions_24h"], values["total_revenue_24h"]) == (1, "10.00")
    assert (values["pending_transactions"], values["active_disputes"], values["fraud_alerts"]) == (0, 2, 3)


def test_amounts_that_are_no_numbers_add_nothing() -> None:
    """NaN, infinity and NULL count as payments, and are in neither revenue nor average."""
    ledger, engine = Ledger(), PaymentMetrics(payment_settings(), minute_at(NOW))
    for key, amount in enumerate(("NaN", "Infinity", None, Decimal("1.005"), 7)):
        row = {"status": "completed", "created_at": NOW.isoformat(), "amount": amount}
        engine.apply(ledger.write(PAYMENTS, key, **row))
    values = engine.values()["metrics"]
    assert values["total_transactions_24h"] == 5
    assert values["total_revenue_24h"] == "8.005"
    assert values["average_transaction_value"] == "4.00"


def test_an_average_that_is_not_rounded_has_the_digits_of_postgres() -> None:
    """With round_average off, ten divided by three has sixteen decimals, as avg(numeric) has."""
    ledger, engine = Ledger(), PaymentMetrics(payment_settings(round_average=False), minute_at(NOW))
    for key, amount in enumerate(("3.33", "3.33", "3.34")):
        row = {"status": "completed", "created_at": NOW.isoformat(), "amount": Decimal(amount)}
        engine.apply(ledger.write(PAYMENTS, key, **row))
    assert engine.values()["metrics"]["average_transaction_value"] == "3.3333333333333333"


def test_nothing_at_all_is_zero() -> None:
    """Without rows every rate is 0.00, every amount "0.00" and every number 0: a dashboard never meets a null."""
    values = PaymentMetrics(payment_settings(), minute_at(NOW)).values()
    assert {str(value) for value in values["metrics"].values()} == {"0", "0.00"}
    assert {str(point["value"]) for series in values["trend_data"].values() for point in series} == {
        "0",
        "0.00",
    }


def test_what_is_not_declared_is_not_shown() -> None:
    """Without disputes and alerts in the configuration there is no number for them, rather than a 0."""
    settings = AggregateSettings.model_validate({"transactions": payment_settings().transactions})
    values = PaymentMetrics(settings, minute_at(NOW)).values()["metrics"]
    assert values.keys() & {"active_disputes", "fraud_alerts"} == set()


@pytest.mark.parametrize("part", ["old", "new"])
def test_a_row_that_was_not_captured_is_unknown(part: str) -> None:
    """An update without images, or with an image that lacks a column, cannot be counted."""
    ledger, engine = Ledger(), PaymentMetrics(payment_settings(), minute_at(NOW))
    row: dict[str, Any] = {"status": "completed", "created_at": NOW.isoformat(), "amount": None}
    ledger.write(PAYMENTS, 1, **row)
    change = ledger.write(PAYMENTS, 1, **row | {"status": "failed"})
    image = getattr(change, part)
    del image["created_at"]
    with pytest.raises(Recount, match="row_unknown"):
        engine.apply(change)


def test_truncate_is_counted_anew() -> None:
    """TRUNCATE says nothing of the rows that go, so the engine gives up."""
    engine = PaymentMetrics(payment_settings(), minute_at(NOW))
    with pytest.raises(Recount, match="truncated"):
        engine.apply(Ledger().truncate(PAYMENTS))
