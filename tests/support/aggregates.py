"""Aggregates for tests: their settings, changes of their tables, and a naive recomputation of what they show."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from relay.capture.change import Change, Operation
from relay.config_aggregates import WINDOW_MINUTES, AggregateSettings
from relay.routing.outlet import Bundle

__all__ = [
    "ALERTS",
    "DISPUTES",
    "NOW",
    "PAYMENTS",
    "WEBHOOKS",
    "FakeScreen",
    "Ledger",
    "health_of",
    "metrics_of",
    "payment_settings",
    "webhook_settings",
]

PAYMENTS, DISPUTES, ALERTS, WEBHOOKS = "public.payment", "public.dispute", "public.alert", "public.webhook"
NOW = datetime(2026, 5, 4, 12, 30, 15, tzinfo=UTC)

Rows = Mapping[int, Mapping[str, Any]]


def payment_settings(**changes: Any) -> AggregateSettings:
    """An aggregate over payments, disputes and alerts, with ``changes`` to its keys for payments."""
    payments = {"table": PAYMENTS, "status": "status", "amount": "amount", "created_at": "created_at"}
    return AggregateSettings.model_validate(
        {
            "transactions": payments | changes,
            "disputes": {"table": DISPUTES, "status": "status"},
            "alerts": {"table": ALERTS, "status": "status"},
        }
    )


def webhook_settings(**changes: Any) -> AggregateSettings:
    """An aggregate over webhooks, with ``changes`` to its keys."""
    webhooks = {
        "table": WEBHOOKS,
        "endpoint_url": "/hooks/",
        "status": "status",
        "created_at": "created_at",
        "processed_at": "processed_at",
        "error_message": "error_message",
    }
    return AggregateSettings.model_validate({"webhooks": webhooks | changes})


class Ledger:
    """Tables in memory. Every write gives the change that a trigger would have captured."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[int, dict[str, Any]]] = {}
        self._ids = itertools.count(1)

    def write(self, table: str, key: int, **row: Any) -> Change:
        """Insert a row, or replace it."""
        rows = self.tables.setdefault(table, {})
        old = rows.get(key)
        new = rows[key] = {"id": key, **row}
        return self._change(table, "update" if old else "insert", new, old)

    def delete(self, table: str, key: int) -> Change | None:
        """Delete a row, if it is there."""
        old = self.tables.get(table, {}).pop(key, None)
        return self._change(table, "delete", None, old) if old else None

    def truncate(self, table: str) -> Change:
        """Empty a table."""
        self.tables.pop(table, None)
        return self._change(table, "truncate", None, None)

    def _change(
        self, table: str, op: Operation, new: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> Change:
        id = next(self._ids)
        key = None if op == "truncate" else {"id": (new or old or {})["id"]}
        return Change(id, 1000 + id, NOW, table, op, key, new, old)


class FakeScreen:
    """A connection that keeps what it is shown. ``is_busy`` makes it slow, ``full`` makes it refuse."""

    def __init__(self) -> None:
        self.bundles: list[Bundle] = []
        self.is_busy = False
        self.full = False

    @property
    def busy(self) -> bool:
        """Whether it has not read what was sent before."""
        return self.is_busy

    def offer(self, bundle: Bundle) -> bool:
        """Keep a bundle."""
        if not self.full:
            self.bundles.append(bundle)
        return not self.full


def _round(value: Fraction, places: int) -> Decimal:
    exact = Decimal(value.numerator * 10**places) / Decimal(value.denominator)
    return exact.quantize(Decimal(1), ROUND_HALF_UP).scaleb(-places)


def _since(now: datetime, minutes: int) -> datetime:
    return now.replace(second=0, microsecond=0) - timedelta(minutes=minutes)


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _share(rows: Sequence[Mapping[str, Any]], part: Sequence[str], whole: Sequence[str]) -> Decimal:
    some = [row for row in rows if row["status"] in whole] if whole else rows
    return (
        _round(Fraction(100 * sum(row["status"] in part for row in some), len(some)), 2)
        if some
        else Decimal(0)
    )


def metrics_of(
    tables: Mapping[str, Rows], settings: AggregateSettings, now: datetime
) -> dict[str, dict[str, Any]]:
    """What docs/metrics.md says of payments, row by row. Amounts are finite here."""
    counts = settings.transactions
    assert counts is not None
    payments = list(tables.get(PAYMENTS, {}).values())

    def within(since: datetime, until: datetime | None = None) -> list[Mapping[str, Any]]:
        times = [(row, _time(row["created_at"])) for row in payments]
        return [row for row, at in times if at is not None and at >= since and (until is None or at < until)]

    def paid(rows: Sequence[Mapping[str, Any]]) -> list[Decimal]:
        return [row["amount"] for row in rows if row["status"] in counts.paid and row["amount"] is not None]

    metrics: dict[str, Any] = {}
    windows = {name: within(_since(now, length)) for name, length in WINDOW_MINUTES.items()}
    for name, rows in windows.items():
        metrics[f"success_rate_{name}"] = _share(rows, counts.succeeded, counts.attempted)
        metrics[f"total_transactions_{name}"] = len(rows)
        metrics[f"total_revenue_{name}"] = sum(paid(rows), Decimal(0))
    amounts = paid(windows[counts.average_window])
    mean = Fraction(sum(amounts, Decimal(0))) / len(amounts) if amounts else Fraction(0)
    metrics["average_transaction_value"] = _round(mean, 2)
    metrics["failed_transactions_24h"] = sum(row["status"] in counts.failed for row in windows["24h"])
    pending = [row for row in payments if row["status"] in counts.pending]
    if counts.pending_window != "all":
        pending = [row for row in windows[counts.pending_window] if row["status"] in counts.pending]
    metrics["pending_transactions"] = len(pending)
    limit = _since(now, counts.stuck_minutes)
    metrics["stuck_transactions"] = sum(
        row["status"] in counts.pending and (at := _time(row["created_at"])) is not None and at < limit
        for row in payments
    )
    for name, table, standing in (
        ("active_disputes", DISPUTES, settings.disputes),
        ("fraud_alerts", ALERTS, settings.alerts),
    ):
        if standing is not None:
            metrics[name] = sum(row["status"] in standing.active for row in tables.get(table, {}).values())
    series: dict[str, list[dict[str, Any]]] = {"transactions": [], "revenue": [], "success_rate": []}
    step = timedelta(minutes=counts.trend_minutes)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    last = epoch + (now - epoch) // step * step
    for back in range(counts.trend_points - 1, -1, -1):
        at = last - back * step
        rows = within(at, at + step)
        series["transactions"].append({"timestamp": at, "value": len(rows)})
        series["revenue"].append({"timestamp": at, "value": sum(paid(rows), Decimal(0))})
        share = _share(rows, counts.succeeded, counts.attempted)
        series["success_rate"].append({"timestamp": at, "value": share})
    return {"metrics": metrics, "trend_data": series}


def health_of(
    tables: Mapping[str, Rows], settings: AggregateSettings, now: datetime
) -> dict[str, dict[str, Any]]:
    """What docs/metrics.md says of webhooks, row by row."""
    counts = settings.webhooks
    assert counts is not None
    rows = list(tables.get(WEBHOOKS, {}).values())

    def having(statuses: Sequence[str], minutes: int | None = None) -> list[Mapping[str, Any]]:
        some = [row for row in rows if row["status"] in statuses]
        if minutes is None:
            return some
        times = [(row, _time(row["created_at"])) for row in some]
        return [row for row, at in times if at is not None and at >= _since(now, minutes)]

    def latest(statuses: Sequence[str], of: Callable[[Mapping[str, Any]], Any]) -> Any:
        return max((of(row) for row in having(statuses) if row["processed_at"] is not None), default=None)

    failure = latest(
        counts.failed, lambda row: (_time(row["processed_at"]), (row["error_message"] or "")[:500])
    )
    answered = [
        Fraction((done - began) // timedelta(microseconds=1), 1000)
        for row in having(counts.processed, WINDOW_MINUTES.get(counts.response_window))
        if (done := _time(row["processed_at"])) is not None
        and (began := _time(row["created_at"])) is not None
    ]
    return {
        "webhook_status": {
            "endpoint_url": counts.endpoint_url,
            "is_healthy": len(having(counts.failed, counts.unhealthy_minutes)) < counts.unhealthy_failures,
            "last_success": latest(counts.processed, lambda row: _time(row["processed_at"])),
            "last_failure": failure and failure[0],
            "failure_count_24h": len(having(counts.failed, WINDOW_MINUTES["24h"])),
            "response_time_avg": _round(sum(answered, Fraction(0)) / len(answered), 1)
            if answered
            else Decimal(0),
            "status_code_last": None,
            "error_message_last": (failure and failure[1]) or None,
            "pending_count": len(having(counts.pending)),
            "retrying_count": len(having(counts.retrying)),
        }
    }
