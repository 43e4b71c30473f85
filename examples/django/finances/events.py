"""What Stripe's events do to our payments. All of it happens inside the transaction of whoever calls ``apply``."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from finances.models import FraudAlert, PaymentDispute, PurchaseTransaction

Status = PurchaseTransaction.Status
Object = Mapping[str, Any]

#: Stripe's events come in any order, and late ones must not undo what is newer. A payment that failed may still
#: succeed, with another card.
REACHED_FROM = {
    Status.PROCESSING: {Status.PENDING},
    Status.COMPLETED: {Status.PENDING, Status.PROCESSING, Status.FAILED},
    Status.FAILED: {Status.PENDING, Status.PROCESSING},
    Status.CANCELLED: {Status.PENDING, Status.PROCESSING, Status.FAILED},
}


class Unprocessable(Exception):
    """The event cannot be applied, however often it comes. The message is shown on dashboards: no ids, no names."""


class NotYet(Exception):
    """What the event is about has not happened here yet; it has to come again. Shown on dashboards, too."""


def apply(event: Object) -> None:
    """Do what ``event`` says. Types we have no use for do nothing. Raises Unprocessable and NotYet."""
    handler = HANDLERS.get(event["type"])
    if handler is None:
        return
    try:
        handler(event["data"]["object"])
    except (KeyError, TypeError) as error:
        raise Unprocessable(f"the {event['type']} event is not shaped as it should be") from error


def euros(cents: int) -> Decimal:
    """Stripe counts in cents."""
    return Decimal(cents).scaleb(-2)


def _purchase(payment_intent_id: str) -> PurchaseTransaction:
    try:
        return PurchaseTransaction.objects.select_for_update().get(stripe_payment_intent_id=payment_intent_id)
    except PurchaseTransaction.DoesNotExist:
        # Stripe can be quicker than the commit of our checkout.
        raise NotYet("no purchase has this payment intent yet") from None


def _move(purchase: PurchaseTransaction, status: str, **notes: str) -> None:
    if purchase.payment_status not in REACHED_FROM[status]:
        return
    purchase.payment_status = status
    purchase.metadata.update(notes)
    purchase.save(update_fields=["payment_status", "metadata", "updated_at"])


def _processing(intent: Object) -> None:
    _move(_purchase(intent["id"]), Status.PROCESSING)


def _succeeded(intent: Object) -> None:
    purchase = _purchase(intent["id"])
    received = euros(intent["amount_received"])
    if received != purchase.amount:
        raise Unprocessable(f"Stripe received {received} for a purchase of {purchase.amount}")
    _move(purchase, Status.COMPLETED)


def _failed(intent: Object) -> None:
    error = intent.get("last_payment_error") or {}
    message = error.get("message", "The payment failed.")
    _move(_purchase(intent["id"]), Status.FAILED, error_message=message)


def _canceled(intent: Object) -> None:
    _move(_purchase(intent["id"]), Status.CANCELLED)


def _refunded(charge: Object) -> None:
    purchase = _purchase(charge["payment_intent"])
    if purchase.payment_status in (Status.PENDING, Status.PROCESSING):
        raise NotYet("the purchase to be refunded has not completed yet")
    total = euros(charge["amount_refunded"])
    if total > purchase.refunded_amount:  # else it was our own refund, and we know
        purchase.note_refund(total)
        purchase.save(update_fields=["payment_status", "metadata", "updated_at"])


def _dispute_fields(dispute: Object) -> dict[str, Any]:
    due = (dispute.get("evidence_details") or {}).get("due_by")
    return {
        "purchase_transaction": _purchase(dispute["payment_intent"]),
        "amount": euros(dispute["amount"]),
        "currency": dispute["currency"],
        "reason": dispute["reason"],
        "status": dispute["status"],
        "evidence_due_by": datetime.fromtimestamp(due, UTC) if due else None,
        "stripe_metadata": dispute.get("metadata", {}),
    }


def _dispute_opened(dispute: Object) -> None:
    PaymentDispute.objects.get_or_create(stripe_dispute_id=dispute["id"], defaults=_dispute_fields(dispute))


def _dispute_changed(dispute: Object) -> None:
    PaymentDispute.objects.update_or_create(
        stripe_dispute_id=dispute["id"], defaults=_dispute_fields(dispute)
    )


def _fraud_warning(warning: Object) -> None:
    purchase = _purchase(warning["payment_intent"])
    kind = warning["fraud_type"]
    alert, new = FraudAlert.objects.get_or_create(
        alert_id=warning["id"],
        defaults={
            "severity": FraudAlert.Severity.HIGH,
            "alert_type": kind,
            "description": f"The bank of the card warns: {kind.replace('_', ' ')}.",
            "target_user_id": purchase.student_id,
            "risk_score": Decimal(80),
        },
    )
    if new:
        alert.related_transactions.add(purchase)


HANDLERS = {
    "payment_intent.processing": _processing,
    "payment_intent.succeeded": _succeeded,
    "payment_intent.payment_failed": _failed,
    "payment_intent.canceled": _canceled,
    "charge.refunded": _refunded,
    "charge.dispute.created": _dispute_opened,
    "charge.dispute.updated": _dispute_changed,
    "charge.dispute.closed": _dispute_changed,
    "radar.early_fraud_warning.created": _fraud_warning,
}
