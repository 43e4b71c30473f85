"""What happens to a payment, told as stories: pure, seeded, and one transaction per step.

A story is a generator. It yields a :class:`Change` and, once that is committed, is sent the row that it
returned. It touches no database and no clock, so the same seed tells the same stories.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

__all__ = ["Change", "Statement", "Story", "purchase"]

Statement = tuple[str, dict[str, Any]]
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Change:
    """One transaction, ``after`` seconds (of story time) from the one before."""

    after: float
    statements: tuple[Statement, ...]
    begins: tuple[Story, ...] = field(default=())  # stories that this change sets off


Story = Generator[Change, Row, None]

PLANS = (
    ("package", "5 hours", Decimal("49.00")),
    ("package", "10 hours", Decimal("89.00")),
    ("package", "20 hours", Decimal("165.00")),
    ("subscription", "Basic", Decimal("29.90")),
    ("subscription", "Plus", Decimal("59.90")),
)
FAILURES = (
    "Your card was declined.",
    "Your card has insufficient funds.",
    "Your card has expired.",
    "Payment was canceled",
)
DISPUTE_REASONS = ("fraudulent", "product_not_received", "duplicate", "unrecognized", "subscription_canceled")
ALERTS = (  # type, severity, score, description
    ("multiple_failed_attempts", "medium", 30, "Several failed payments within six hours"),
    ("rapid_fire_transactions", "high", 50, "Many payments within half an hour"),
    ("new_user_high_value", "medium", 45, "A high value on a new account"),
    ("unusual_spending_pattern", "low", 25, "Far from what this customer usually spends"),
)

INSERT_PURCHASE = """
INSERT INTO finances_purchasetransaction
       (student_id, transaction_type, amount, payment_status, stripe_payment_intent_id, stripe_customer_id,
        metadata, created_at, updated_at)
VALUES (%(student)s, %(type)s, %(amount)s, 'processing', %(intent)s, %(customer)s,
        %(metadata)s::jsonb, now(), now())
RETURNING id"""
UPDATE_PURCHASE = """
UPDATE finances_purchasetransaction
   SET payment_status = %(status)s, metadata = metadata || %(metadata)s::jsonb, updated_at = now()
 WHERE stripe_payment_intent_id = %(intent)s"""
INSERT_WEBHOOK = """
INSERT INTO finances_webhookeventlog
       (stripe_event_id, event_type, status, payload, error_message, retry_count, created_at, updated_at)
VALUES (%(event)s, %(type)s, 'received', %(payload)s::jsonb, '', 0, now(), now())
RETURNING id"""
UPDATE_WEBHOOK = """
UPDATE finances_webhookeventlog
   SET status = %(status)s, processed_at = now(), error_message = %(error)s, retry_count = %(retries)s,
       updated_at = now()
 WHERE id = %(id)s"""
INSERT_ALERT = """
INSERT INTO finances_fraudalert
       (alert_id, severity, status, alert_type, description, target_user_id, detection_data, risk_score,
        resolution_notes, actions_taken, created_at, updated_at)
VALUES ('FA-' || to_char(now(), 'YYYY') || '-' || %(alert)s, %(severity)s, 'active', %(type)s,
        %(description)s, %(student)s, '{}', %(score)s, '', '[]', now(), now())
RETURNING id"""
LINK_ALERT = """
INSERT INTO finances_fraudalert_related_transactions (fraudalert_id, purchasetransaction_id)
VALUES (%(alert)s, %(purchase)s)
RETURNING id"""
UPDATE_ALERT = """
UPDATE finances_fraudalert
   SET status = %(status)s, investigated_at = now(), updated_at = now()
 WHERE id = %(id)s"""
INSERT_DISPUTE = """
INSERT INTO finances_paymentdispute
       (stripe_dispute_id, purchase_transaction_id, amount, currency, reason, status, evidence_details,
        evidence_due_by, is_responded, internal_notes, stripe_metadata, created_at, updated_at)
VALUES (%(dispute)s, %(purchase)s, %(amount)s, 'eur', %(reason)s, 'needs_response', '{}',
        now() + make_interval(days => %(days)s), false, '', '{}', now(), now())
RETURNING id"""
ANSWER_DISPUTE = """
UPDATE finances_paymentdispute
   SET status = 'under_review', is_responded = true, response_submitted_at = now(), updated_at = now()
 WHERE id = %(id)s"""
CLOSE_DISPUTE = """
UPDATE finances_paymentdispute SET status = %(status)s, updated_at = now() WHERE id = %(id)s"""


def purchase(random: Random, student: int) -> Story:
    """A purchase from its first row to its end: paid, failed, cancelled, refunded, suspected or disputed."""
    kind, plan, amount = random.choice(PLANS)
    intent = f"pi_{random.getrandbits(96):024x}"
    start = {
        "student": student, "type": kind, "amount": amount, "intent": intent,
        "customer": f"cus_{student:014d}", "metadata": json.dumps({"plan_name": plan}),
    }  # fmt: skip
    # The backend inserts a purchase as processing and sets it to pending in the same transaction.
    (number,) = yield Change(0, ((INSERT_PURCHASE, start), _status(intent, "pending")))
    yield Change(random.uniform(1, 4), (_status(intent, "processing"),))

    outcome = random.random()
    wait = random.uniform(1, 6)
    if outcome < 0.12:
        failure = random.choice(FAILURES)
        begins = [webhook(random, intent, "payment_intent.payment_failed")]
        if random.random() < 0.4:
            begins.append(alert(random, student, number))
        yield Change(wait, (_status(intent, "failed", {"error_message": failure}),), tuple(begins))
    elif outcome < 0.15:
        yield Change(wait, (_status(intent, "cancelled"),))
    else:
        begins = [webhook(random, intent, "payment_intent.succeeded")]
        if random.random() < 0.05:
            begins.append(dispute(random, number, amount))
        yield Change(wait, (_status(intent, "completed"),), tuple(begins))
        if random.random() < 0.08:
            refund = {"refunds": [{"amount": str(amount), "reason": "requested_by_customer"}]}
            yield Change(
                random.uniform(10, 40),
                (_status(intent, "refunded", refund),),
                (webhook(random, intent, "charge.refunded"),),
            )


def webhook(random: Random, intent: str, kind: str) -> Story:
    """An event that Stripe sends: received, processing, then processed, at once or after some tries."""
    payload = json.dumps({"type": kind, "data": {"object": {"id": intent}}})
    event = f"evt_{random.getrandbits(96):024x}"
    (number,) = yield Change(0.2, ((INSERT_WEBHOOK, {"event": event, "type": kind, "payload": payload}),))
    yield Change(0.2, (_webhook(number, "processing"),))
    for retry in range(1, 6):
        if random.random() < 0.9:
            yield Change(0.5, (_webhook(number, "processed", retries=retry - 1),))
            return
        yield Change(0.5, (_webhook(number, "retrying", "balance row is locked", retry),))
    yield Change(1, (_webhook(number, "failed", "gave up after five tries", 5),))


def alert(random: Random, student: int, number: int) -> Story:
    """A fraud alert: its link to the payment comes in a commit of its own, then somebody looks at it."""
    kind, severity, score, description = random.choice(ALERTS)
    values = {
        "alert": f"{random.getrandbits(32):08X}", "severity": severity, "type": kind,
        "description": description, "student": student, "score": score + random.randint(0, 20),
    }  # fmt: skip
    (alert_number,) = yield Change(1, ((INSERT_ALERT, values),))
    yield Change(0.1, ((LINK_ALERT, {"alert": alert_number, "purchase": number}),))
    yield Change(random.uniform(5, 20), ((UPDATE_ALERT, {"id": alert_number, "status": "investigating"}),))
    end = random.choice(("resolved", "false_positive"))
    yield Change(random.uniform(10, 40), ((UPDATE_ALERT, {"id": alert_number, "status": end}),))


def dispute(random: Random, number: int, amount: Decimal) -> Story:
    """A dispute: it waits for an answer, is under review, and is won or lost."""
    values = {
        "dispute": f"dp_{random.getrandbits(96):024x}", "purchase": number, "amount": amount,
        "reason": random.choice(DISPUTE_REASONS), "days": random.randint(1, 14),
    }  # fmt: skip
    (dispute_number,) = yield Change(random.uniform(5, 30), ((INSERT_DISPUTE, values),))
    yield Change(random.uniform(10, 40), ((ANSWER_DISPUTE, {"id": dispute_number}),))
    end = random.choice(("won", "lost"))
    yield Change(random.uniform(20, 60), ((CLOSE_DISPUTE, {"id": dispute_number, "status": end}),))


def _status(intent: str, status: str, metadata: dict[str, Any] | None = None) -> Statement:
    return UPDATE_PURCHASE, {"intent": intent, "status": status, "metadata": json.dumps(metadata or {})}


def _webhook(number: int, status: str, error: str = "", retries: int = 0) -> Statement:
    return UPDATE_WEBHOOK, {"id": number, "status": status, "error": error, "retries": retries}
