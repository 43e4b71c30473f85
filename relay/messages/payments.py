"""The rows and messages of the preset ``payments``, as declared types: what dashboards of payments can rely on.

The relay builds rows from the mapping in relay/presets/payments.toml; these models say what comes of it, for people who
write clients and for tests, which hold the mapping and what is sent against them. Amounts are exact decimals as text.
Under a policy's mask a field is other text, or missing: the models are of what is shown without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from relay.messages.frames import Frame, Moment

__all__ = [
    "PAYMENT_MESSAGES",
    "PAYMENT_ROWS",
    "Dispute",
    "DisputeUpdate",
    "FraudAlert",
    "FraudAlertChange",
    "PaymentMessage",
    "PaymentRow",
    "Transaction",
    "TransactionUpdate",
    "WebhookEvent",
    "WebhookEventChange",
]

#: An exact number as text, never a float.
Amount = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$")]


class PaymentRow(BaseModel):
    """One row. ``id`` is the row's, as text: JavaScript cannot hold every bigint."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str


class Transaction(PaymentRow):
    """A payment: ``transaction`` of ``transaction_update``."""

    payment_intent_id: str  # Stripe's; empty until there is one
    customer_email: str
    customer_name: str
    amount: Amount
    currency: Literal["eur"]
    status: str  # succeeded, canceled, and as stored: pending, processing, failed, refunded
    status_display: str  # the same for people
    transaction_type: str  # package or subscription
    failure_reason: str | None  # only of what has failed
    risk_score: float | None  # 0 to 100, the highest of its fraud alerts
    metadata: Mapping[str, Any]  # student_name and plan_name, where there are
    created_at: Moment
    updated_at: Moment


class WebhookEvent(PaymentRow):
    """An event of Stripe that came in: ``event`` of ``webhook_event``. Never what was in it."""

    event_id: str
    event_type: str
    status: str  # pending, succeeded, failed, retrying
    attempts: int
    max_attempts: Literal[5]
    received_at: Moment
    processed_at: Moment | None
    error_message: str | None


class FraudAlert(PaymentRow):
    """Something that looks like fraud: ``alert`` of ``fraud_alert``."""

    alert_id: str
    payment_intent_id: str  # of its first payment; empty until the link to it is there
    amount: Amount | None  # the same
    alert_type: str
    severity: str  # low, medium, high, critical
    risk_score: float  # 0 to 100
    description: str
    status: str  # active, investigating, resolved, false_positive
    created_at: Moment
    resolved_at: Moment | None  # when it was looked into
    resolved_by: str | None  # whom it is assigned to
    customer_email: str
    metadata: Mapping[str, Any]  # velocity_count, where there is


class Dispute(PaymentRow):
    """A payment that its payer's bank asks back: ``dispute`` of ``dispute_update``."""

    dispute_id: str  # Stripe's
    payment_intent_id: str
    amount: Amount
    currency: str
    reason: str
    status: str
    status_display: str  # the same for people
    evidence_due_by: Moment | None
    evidence_submitted: bool
    customer_email: str
    created_at: Moment
    updated_at: Moment


#: By channel of the preset.
PAYMENT_ROWS: Mapping[str, type[PaymentRow]] = {
    "transactions": Transaction,
    "webhooks": WebhookEvent,
    "fraud_alerts": FraudAlert,
    "disputes": Dispute,
}


class _Change(BaseModel):
    """What happened to a row. A row that has gone, or may not be seen any more, is a :class:`PaymentRow`: its id."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    changed: Sequence[str] | None = None
    previous_status: str | None = None


class TransactionData(_Change):
    """What ``transaction_update`` holds."""

    action: Literal["created", "updated", "status_changed", "deleted"]
    transaction: Transaction | PaymentRow


class WebhookEventData(_Change):
    """What ``webhook_event`` holds."""

    action: Literal["created", "updated", "status_changed", "deleted"]
    event: WebhookEvent | PaymentRow


class FraudAlertData(_Change):
    """What ``fraud_alert`` holds."""

    action: Literal["created", "updated", "resolved", "deleted"]
    alert: FraudAlert | PaymentRow


class DisputeData(_Change):
    """What ``dispute_update`` holds."""

    action: Literal["created", "updated", "evidence_required", "resolved", "deleted"]
    dispute: Dispute | PaymentRow


class PaymentMessage(Frame):
    """One change of one row; ``id`` is the event's."""

    channel: str
    id: str
    timestamp: Moment
    membership: Literal["entered", "left"] | None = None


class TransactionUpdate(PaymentMessage):
    """A payment was begun, has changed, or is gone."""

    type: Literal["transaction_update"] = "transaction_update"
    data: TransactionData


class WebhookEventChange(PaymentMessage):
    """An event of Stripe came in, or got further."""

    type: Literal["webhook_event"] = "webhook_event"
    data: WebhookEventData


class FraudAlertChange(PaymentMessage):
    """Something looks like fraud, was looked into, or settled."""

    type: Literal["fraud_alert"] = "fraud_alert"
    data: FraudAlertData


class DisputeUpdate(PaymentMessage):
    """A dispute was opened, wants evidence, or was decided."""

    type: Literal["dispute_update"] = "dispute_update"
    data: DisputeData


#: By the type of the message.
PAYMENT_MESSAGES: Mapping[str, type[PaymentMessage]] = {
    "transaction_update": TransactionUpdate,
    "webhook_event": WebhookEventChange,
    "fraud_alert": FraudAlertChange,
    "dispute_update": DisputeUpdate,
}
