"""Payments and what happens to them. Deliberately nothing about live updates: no signal, no save() that sends."""

from decimal import Decimal

from django.conf import settings
from django.db import models

from accounts.models import CustomUser


class Timestamped(models.Model):
    """Two times that Django writes. QuerySet.update() touches neither, which is why nobody should poll by them."""

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class PurchaseTransaction(Timestamped):
    """One purchase of a student. Amounts are euros."""

    class Type(models.TextChoices):
        PACKAGE = "package"
        SUBSCRIPTION = "subscription"

    class Status(models.TextChoices):
        PENDING = "pending"
        PROCESSING = "processing"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"
        REFUNDED = "refunded"

    student = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="purchases")
    transaction_type = models.CharField(max_length=20, choices=Type.choices)
    amount = models.DecimalField(max_digits=8, decimal_places=2)
    payment_status = models.CharField(max_length=20, choices=Status.choices, default=Status.PENDING)
    stripe_payment_intent_id = models.CharField(max_length=255, null=True, blank=True, unique=True)
    stripe_customer_id = models.CharField(max_length=255, null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    approval_request_id = models.BigIntegerField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="purchase_created_at")]

    def __str__(self) -> str:
        return f"#{self.pk}, {self.amount} EUR, {self.payment_status}"

    @property
    def refunded_amount(self) -> Decimal:
        """How much of it has been given back."""
        return Decimal(self.metadata.get("refunded_amount", "0"))

    def note_refund(self, total: Decimal) -> None:
        """Take down that ``total`` has been given back by now; all of it makes the payment refunded."""
        self.metadata["refunded_amount"] = f"{total:.2f}"
        if total >= self.amount:
            self.payment_status = self.Status.REFUNDED


class WebhookEventLog(Timestamped):
    """One event of Stripe's and how far we are with it."""

    class Status(models.TextChoices):
        RECEIVED = "received"
        PROCESSING = "processing"
        PROCESSED = "processed"
        FAILED = "failed"
        RETRYING = "retrying"

    stripe_event_id = models.CharField(max_length=255, unique=True)
    event_type = models.CharField(max_length=100)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.RECEIVED)
    # The whole event: names, addresses, client secrets. relay.toml lists no such column, so no trigger copies it.
    payload = models.JSONField()
    processed_at = models.DateTimeField(null=True, blank=True)
    error_message = models.TextField(blank=True)
    retry_count = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="webhook_created_at")]

    def __str__(self) -> str:
        return f"{self.event_type} {self.stripe_event_id}, {self.status}"


class PaymentDispute(Timestamped):
    """A customer who wants money back through the bank. Reasons and states are Stripe's own words."""

    stripe_dispute_id = models.CharField(max_length=255, unique=True)
    purchase_transaction = models.ForeignKey(
        PurchaseTransaction, on_delete=models.CASCADE, related_name="disputes"
    )
    amount = models.DecimalField(max_digits=8, decimal_places=2)
    currency = models.CharField(max_length=3, default="eur")
    reason = models.CharField(max_length=50)
    status = models.CharField(max_length=50)
    evidence_details = models.JSONField(default=dict, blank=True)
    evidence_due_by = models.DateTimeField(null=True, blank=True)
    is_responded = models.BooleanField(default=False)
    response_submitted_at = models.DateTimeField(null=True, blank=True)
    internal_notes = models.TextField(blank=True)
    stripe_metadata = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="dispute_created_at")]

    def __str__(self) -> str:
        return f"{self.stripe_dispute_id}, {self.amount} {self.currency}, {self.status}"


class FraudAlert(Timestamped):
    """A suspicion, and the payments it is about."""

    class Severity(models.TextChoices):
        LOW = "low"
        MEDIUM = "medium"
        HIGH = "high"
        CRITICAL = "critical"

    class Status(models.TextChoices):
        ACTIVE = "active"
        INVESTIGATING = "investigating"
        RESOLVED = "resolved"
        FALSE_POSITIVE = "false_positive"

    alert_id = models.CharField(max_length=50, unique=True)
    severity = models.CharField(max_length=20, choices=Severity.choices)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.ACTIVE)
    alert_type = models.CharField(max_length=100)
    description = models.TextField()
    target_user = models.ForeignKey(
        CustomUser, on_delete=models.CASCADE, null=True, blank=True, related_name="fraud_alerts"
    )
    related_transactions = models.ManyToManyField(
        PurchaseTransaction, related_name="fraud_alerts", blank=True
    )
    detection_data = models.JSONField(default=dict, blank=True)
    risk_score = models.DecimalField(max_digits=5, decimal_places=2)
    assigned_to = models.ForeignKey(
        CustomUser, on_delete=models.SET_NULL, null=True, blank=True, related_name="assigned_alerts"
    )
    investigated_at = models.DateTimeField(null=True, blank=True)
    resolution_notes = models.TextField(blank=True)
    actions_taken = models.JSONField(default=list, blank=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="alert_created_at")]

    def __str__(self) -> str:
        return f"{self.alert_id}, {self.alert_type}, {self.status}"
