"""The part of the settings that says what is counted: ``[aggregates.*]``.

An aggregate is a channel whose messages are numbers. What they mean is told in docs/metrics.md, with the setting that
restores the payment backend's own definition wherever ours is another.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from relay.config_kinds import Column, Count, OptionalColumn, Section, Table

__all__ = [
    "HORIZON_MINUTES",
    "LATEST_KEPT",
    "MESSAGE_CHARACTERS",
    "WINDOW_MINUTES",
    "AggregateSettings",
    "AlertCounts",
    "DisputeCounts",
    "TransactionCounts",
    "WebhookCounts",
    "Window",
]

Window = Literal["24h", "7d", "30d"]
#: The windows of time that there are.
WINDOW_MINUTES: dict[str, int] = {"24h": 24 * 60, "7d": 7 * 24 * 60, "30d": 30 * 24 * 60}
#: Nothing reaches further back than the longest window, but for what is counted over all time.
HORIZON_MINUTES = max(WINDOW_MINUTES.values())
#: Of an error message no more than its beginning is kept and shown.
MESSAGE_CHARACTERS = 500
#: So many of the latest successes, and of the latest failures, are read: for when the latest is taken back.
LATEST_KEPT = 500

Statuses = tuple[str, ...]
SomeStatuses = Annotated[Statuses, Field(min_length=1)]
#: At most the longest window.
Minutes = Annotated[int, Field(ge=1, le=HORIZON_MINUTES)]


class TransactionCounts(Section):
    """Payments: where they are, and which statuses mean what."""

    table: Table
    status: Column
    amount: Column
    created_at: Column
    paid: SomeStatuses = ("completed",)  # revenue and the average are of these
    succeeded: SomeStatuses = ("completed", "refunded")  # what success_rate counts
    attempted: Statuses = ("completed", "refunded", "failed")  # what it counts among; empty: all
    failed: SomeStatuses = ("failed",)
    pending: SomeStatuses = ("pending", "processing")
    pending_window: Window | Literal["all"] = "all"
    stuck_minutes: Minutes = 60
    average_window: Window = "30d"
    round_average: bool = True
    trend_minutes: Minutes = 60
    trend_points: Annotated[int, Field(ge=1, le=1000)] = 24

    @model_validator(mode="after")
    def _successes_are_attempts(self) -> TransactionCounts:
        if self.attempted and (lacking := [each for each in self.succeeded if each not in self.attempted]):
            raise ValueError(
                f'has "{lacking[0]}" among succeeded and not among attempted, so a rate could pass 100 %; '
                "add it to attempted, or leave attempted empty for all"
            )
        return self

    @model_validator(mode="after")
    def _trend_fits(self) -> TransactionCounts:
        if self.trend_minutes * self.trend_points > HORIZON_MINUTES:
            raise ValueError(
                f"has a trend of trend_points x trend_minutes longer than 30 days ({HORIZON_MINUTES} minutes); "
                "take fewer or shorter points"
            )
        return self


class DisputeCounts(Section):
    """Disputes: where they are, and which statuses are not decided yet."""

    table: Table
    status: Column
    active: SomeStatuses = (
        "warning_needs_response",
        "warning_under_review",
        "needs_response",
        "under_review",
    )


class AlertCounts(Section):
    """Fraud alerts: where they are, and which statuses still need somebody."""

    table: Table
    status: Column
    active: SomeStatuses = ("active", "investigating")


class WebhookCounts(Section):
    """The log of webhooks received at one endpoint, and when that endpoint counts as healthy."""

    table: Table
    endpoint_url: Annotated[str, Field(min_length=1)]
    status: Column
    created_at: Column
    processed_at: Column
    error_message: OptionalColumn = ""
    processed: SomeStatuses = ("processed",)
    failed: SomeStatuses = ("failed",)
    pending: SomeStatuses = ("received", "processing")
    retrying: SomeStatuses = ("retrying",)
    unhealthy_failures: Count = 5
    unhealthy_minutes: Minutes = 60
    response_window: Window | Literal["all"] = "24h"


class AggregateSettings(Section):
    """What one aggregate counts: payments, perhaps with disputes and alerts beside them, or webhooks."""

    transactions: TransactionCounts | None = None
    disputes: DisputeCounts | None = None
    alerts: AlertCounts | None = None
    webhooks: WebhookCounts | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> AggregateSettings:
        if (self.transactions is None) == (self.webhooks is None):
            raise ValueError("needs exactly one of transactions and webhooks; declare one aggregate for each")
        if self.webhooks is not None and (self.disputes is not None or self.alerts is not None):
            raise ValueError("counts webhooks, beside which there are no disputes or alerts; remove them")
        return self

    @property
    def message(self) -> str:
        """The type of its messages."""
        return "metrics_update" if self.webhooks is None else "webhook_status"

    @property
    def columns(self) -> dict[str, frozenset[str]]:
        """``schema.table`` -> the columns that have to be captured to count it."""
        wanted: dict[str, set[str]] = {}
        for counts in (self.transactions, self.disputes, self.alerts, self.webhooks):
            if counts is not None:
                named = ("status", "amount", "created_at", "processed_at", "error_message")
                columns = {getattr(counts, name, "") for name in named}
                wanted.setdefault(counts.table, set()).update(columns - {""})
        return {table: frozenset(columns) for table, columns in wanted.items()}
