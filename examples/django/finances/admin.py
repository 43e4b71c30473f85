"""The admin of payments. Its bulk actions are one UPDATE each: no save(), no signal, no new updated_at."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from finances.models import FraudAlert, PaymentDispute, PurchaseTransaction, WebhookEventLog


@admin.register(PurchaseTransaction)
class PurchaseTransactionAdmin(admin.ModelAdmin):
    """Purchases, with two ways to correct many at once."""

    list_display = ["id", "student", "amount", "transaction_type", "payment_status", "created_at"]
    list_filter = ["payment_status", "transaction_type"]
    search_fields = ["student__email", "stripe_payment_intent_id"]
    raw_id_fields = ["student"]
    actions = ["mark_failed", "mark_refunded"]

    @admin.action(description="Mark as failed")
    def mark_failed(self, request: HttpRequest, purchases: QuerySet[PurchaseTransaction]) -> None:
        """For payments whose failure Stripe never told us about."""
        purchases.update(payment_status=PurchaseTransaction.Status.FAILED)

    @admin.action(description="Mark as refunded")
    def mark_refunded(self, request: HttpRequest, purchases: QuerySet[PurchaseTransaction]) -> None:
        """For money that was given back by other means."""
        purchases.update(payment_status=PurchaseTransaction.Status.REFUNDED)


@admin.register(WebhookEventLog)
class WebhookEventLogAdmin(admin.ModelAdmin):
    """What Stripe sent, to look at."""

    list_display = ["stripe_event_id", "event_type", "status", "retry_count", "created_at"]
    list_filter = ["status", "event_type"]
    readonly_fields = ["stripe_event_id", "event_type", "payload", "processed_at", "retry_count"]


@admin.register(PaymentDispute)
class PaymentDisputeAdmin(admin.ModelAdmin):
    """Disputes."""

    list_display = ["stripe_dispute_id", "amount", "reason", "status", "evidence_due_by"]
    raw_id_fields = ["purchase_transaction"]


@admin.register(FraudAlert)
class FraudAlertAdmin(admin.ModelAdmin):
    """Fraud alerts."""

    list_display = ["alert_id", "alert_type", "severity", "risk_score", "status"]
    raw_id_fields = ["target_user", "assigned_to", "related_transactions"]
