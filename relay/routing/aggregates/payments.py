"""The metrics of payments: success rates, numbers and revenue by window, what is pending or stuck, and the trend.

Every definition here stands in docs/metrics.md with its SQL, and :mod:`relay.capture.census` asks the same of Postgres.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from relay.capture.change import Change
from relay.config_aggregates import WINDOW_MINUTES, AggregateSettings
from relay.routing.aggregates.engine import Image, Recount, Standing, Values, images
from relay.routing.aggregates.minutes import iso, minute_of
from relay.routing.aggregates.roles import Roles
from relay.routing.aggregates.rounding import (
    EXACT,
    ZERO,
    amount_of,
    average,
    long_average,
    money,
    rate,
)
from relay.routing.aggregates.spans import Spans, Tally
from relay.routing.aggregates.trend import Trend

__all__ = ["PaymentMetrics"]

_MINUTE: Final = timedelta(minutes=1)

#: A row as far as it counts: class, minute (None: no time), amount (None: none to add up).
_Facts = tuple[int, int | None, Decimal | None]


class PaymentMetrics:
    """The engine of an aggregate over ``transactions``, perhaps with ``disputes`` and ``alerts``."""

    def __init__(self, settings: AggregateSettings, minute: int) -> None:
        counts = settings.transactions
        assert counts is not None
        self._counts = counts
        self._roles = Roles(
            paid=counts.paid,
            succeeded=counts.succeeded,
            attempted=counts.attempted or None,
            failed=counts.failed,
            pending=counts.pending,
        )
        classes = self._roles.classes
        self._paid = self._roles.having("paid")
        self._succeeded = self._roles.having("succeeded")
        self._attempted = self._roles.having("attempted")
        self._failed = self._roles.having("failed")
        self._pending = self._roles.having("pending")
        self._spans = Spans([*WINDOW_MINUTES.values(), counts.stuck_minutes], classes, minute)
        self._trend = Trend(counts.trend_minutes, counts.trend_points, classes, minute)
        self._pending_rows = 0  # of all time
        self._pending_dated = 0  # those of them that have a time
        self._disputes = self._alerts = None
        if (disputes := settings.disputes) is not None:
            self._disputes = Standing(disputes.status, Roles(active=disputes.active), "active")
        if (alerts := settings.alerts) is not None:
            self._alerts = Standing(alerts.status, Roles(active=alerts.active), "active")
        self._standing = [
            (table.table, standing)
            for table, standing in ((disputes, self._disputes), (alerts, self._alerts))
            if table is not None and standing is not None
        ]

    def apply(self, change: Change) -> None:
        """Move the numbers. Raises Recount."""
        old, new = images(change)
        try:
            if change.source == self._counts.table:
                before = None if old is None else self._facts(old)
                after = None if new is None else self._facts(new)
                if before == after:
                    return
                if before is not None:
                    self._move(before, -1)
                if after is not None:
                    self._move(after, 1)
            for table, standing in self._standing:
                if change.source == table:
                    if old is not None:
                        standing.move(old, -1)
                    if new is not None:
                        standing.move(new, 1)
        except KeyError:  # a column that was not captured when this was written
            raise Recount("row_unknown") from None

    def _facts(self, image: Image) -> _Facts:
        counts = self._counts
        kind = self._roles.of(image[counts.status])
        amount = amount_of(image[counts.amount]) if kind in self._paid else None
        return kind, minute_of(image[counts.created_at]), amount

    def _move(self, facts: _Facts, sign: int) -> None:
        kind, minute, amount = facts
        if kind in self._pending:
            self._pending_rows += sign
            if minute is not None:
                self._pending_dated += sign
        if minute is not None:
            numbers = 0 if amount is None else sign
            total = ZERO if amount is None else amount if sign > 0 else EXACT.minus(amount)
            self._add(minute, kind, sign, numbers, total)

    def _add(self, minute: int, kind: int, rows: int, numbers: int, total: Decimal) -> None:
        self._spans.add(minute, kind, rows, numbers, total)
        self._trend.add(minute, kind, rows, numbers, total)

    def load(self, part: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add what was counted in SQL."""
        if part == "transactions":
            for minute, status, count, numbers, total in rows:
                kind = self._roles.of(status)
                paid = kind in self._paid
                self._add(minute, kind, count, numbers if paid else 0, total if paid and total else ZERO)
        elif part == "pending":
            ((count, dated),) = rows
            self._pending_rows += count
            self._pending_dated += dated
        else:
            ((count,),) = rows
            standing = self._disputes if part == "disputes" else self._alerts
            assert standing is not None
            standing.rows += count

    def advance(self, minute: int) -> None:
        """Move the windows on."""
        self._spans.advance(minute)
        self._trend.advance(minute)

    def values(self) -> Values:
        """All metrics, under ``metrics`` and ``trend_data``."""
        windows = {name: self._spans.window(length) for name, length in WINDOW_MINUTES.items()}
        counts, day = self._counts, windows["24h"]
        metrics: dict[str, Any] = {}
        for name, window in windows.items():
            metrics[f"success_rate_{name}"] = self._success(window)
        for name, window in windows.items():
            metrics[f"total_transactions_{name}"] = sum(window.rows)
        for name, window in windows.items():
            metrics[f"total_revenue_{name}"] = str(money(window.sum_of(self._paid)))
        metrics["average_transaction_value"] = self._average(windows[counts.average_window])
        metrics["failed_transactions_24h"] = day.of(self._failed)
        metrics["pending_transactions"] = (
            self._pending_rows
            if counts.pending_window == "all"
            else windows[counts.pending_window].of(self._pending)
        )
        recent = self._spans.window(counts.stuck_minutes)
        metrics["stuck_transactions"] = self._pending_dated - recent.of(self._pending)
        if self._disputes is not None:
            metrics["active_disputes"] = self._disputes.rows
        if self._alerts is not None:
            metrics["fraud_alerts"] = self._alerts.rows
        return {"metrics": metrics, "trend_data": self._series()}

    def _success(self, window: Tally) -> Decimal:
        return rate(window.of(self._succeeded), window.of(self._attempted))

    def _average(self, window: Tally) -> str:
        total, count = window.sum_of(self._paid), window.numbers_of(self._paid)
        return f"{average(total, count) if self._counts.round_average else long_average(total, count):f}"

    def _series(self) -> dict[str, list[dict[str, Any]]]:
        points = [(iso(minute, _MINUTE), tally) for minute, tally in self._trend.points()]
        return {
            "transactions": [{"timestamp": at, "value": sum(tally.rows)} for at, tally in points],
            "revenue": [{"timestamp": at, "value": money(tally.sum_of(self._paid))} for at, tally in points],
            "success_rate": [{"timestamp": at, "value": self._success(tally)} for at, tally in points],
        }
