"""The messages of aggregates, as declared types: what dashboards show as numbers.

They are built by :mod:`relay.routing.aggregates.sheet`; these models say what may be in them, for ``relay schema`` and
for tests. Their meaning is told in docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from relay.messages.frames import Frame, Moment

__all__ = [
    "AGGREGATE_MESSAGES",
    "AggregateFrame",
    "EndpointHealth",
    "MetricsUpdate",
    "PaymentMetrics",
    "TrendData",
    "TrendPoint",
    "WebhookStatus",
]

#: An exact number as a JSON string, always with a dot.
Amount = Annotated[str, Field(pattern=r"^-?\d+\.\d{2,}$")]
#: 0 to 100, two decimals.
Percent = Annotated[float, Field(ge=0, le=100)]
Number = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PaymentMetrics(_Part):
    """Payments in numbers. In a message that is not complete only those that changed are there."""

    success_rate_24h: Percent | None = None
    success_rate_7d: Percent | None = None
    success_rate_30d: Percent | None = None
    total_transactions_24h: Number | None = None
    total_transactions_7d: Number | None = None
    total_transactions_30d: Number | None = None
    total_revenue_24h: Amount | None = None
    total_revenue_7d: Amount | None = None
    total_revenue_30d: Amount | None = None
    average_transaction_value: Amount | None = None
    failed_transactions_24h: Number | None = None
    pending_transactions: Number | None = None
    stuck_transactions: Number | None = None
    active_disputes: Number | None = None
    fraud_alerts: Number | None = None


class TrendPoint(_Part):
    """One point of a trend; ``timestamp`` is its beginning."""

    timestamp: Moment
    value: float


class TrendData(_Part):
    """The trends that changed, each whole."""

    transactions: Sequence[TrendPoint] | None = None
    revenue: Sequence[TrendPoint] | None = None
    success_rate: Sequence[TrendPoint] | None = None


class MetricsData(_Part):
    """What ``metrics_update`` holds."""

    metrics: PaymentMetrics
    trend_data: TrendData | None = None


class EndpointHealth(_Part):
    """How one webhook endpoint is doing. Times in milliseconds."""

    endpoint_url: str
    is_healthy: bool
    last_success: Moment | None
    last_failure: Moment | None
    failure_count_24h: Number
    response_time_avg: float
    status_code_last: int | None
    error_message_last: str | None
    pending_count: Number
    retrying_count: Number


class WebhookData(_Part):
    """What ``webhook_status`` holds: the endpoint whole, and the names of what changed in it."""

    webhook_status: EndpointHealth
    changed: Sequence[str]


class AggregateFrame(Frame):
    """Numbers as of a moment. ``complete``: this is all there is; otherwise what changed since the message before.

    ``id`` is another one in every message; it names no event.
    """

    channel: str
    id: str
    timestamp: Moment
    as_of: Moment
    complete: bool


class MetricsUpdate(AggregateFrame):
    """Payments in numbers."""

    type: Literal["metrics_update"] = "metrics_update"
    data: MetricsData


class WebhookStatus(AggregateFrame):
    """How a webhook endpoint is doing."""

    type: Literal["webhook_status"] = "webhook_status"
    data: WebhookData


#: By the type of the message.
AGGREGATE_MESSAGES: dict[str, type[AggregateFrame]] = {
    "metrics_update": MetricsUpdate,
    "webhook_status": WebhookStatus,
}
