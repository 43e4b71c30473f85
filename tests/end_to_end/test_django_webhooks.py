"""Stripe speaks to examples/django, and dashboards hear of it: success, failure, retries, and who is not Stripe."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.dashboard import Dashboard, told
from tests.support.database import Database
from tests.support.django_site import Site
from tests.support.purchases import buy, paid
from tests.support.stripe import Stripe

#: Starting everything counts for the first test.
pytestmark = pytest.mark.timeout(180)


async def test_a_webhook_completes_the_payment_once(
    student: Browser, stripe: Stripe, dashboard: Dashboard
) -> None:
    """The payment and the log of the event change together; the same event again changes nothing."""
    event = stripe.about(buy(student), "payment_intent.succeeded")
    assert told(await dashboard.news("transaction_update")) == [("created", "pending", None)]
    assert stripe.deliver(event).json == {"status": "processed"}
    frames = await dashboard.news("transaction_update", "webhook_event")
    webhooks = [frame for frame in frames if frame["channel"] == "webhooks"]
    assert told(webhooks) == [("created", "pending", None), ("status_changed", "succeeded", "pending")]
    assert webhooks[-1]["data"]["event"]["event_id"] == event["id"]
    assert "payload" not in webhooks[-1]["data"]["event"]
    payments = [frame for frame in frames if frame["channel"] == "transactions"]
    assert told(payments) == [("status_changed", "succeeded", "pending")]
    assert stripe.deliver(event).json == {"status": "processed"}
    assert await dashboard.news("transaction_update", "webhook_event") == []


@pytest.mark.parametrize(
    ("type", "object", "status", "reason"),
    [
        (
            "payment_intent.payment_failed",
            {"last_payment_error": {"message": "Your card has insufficient funds."}},
            "failed",
            "Your card has insufficient funds.",
        ),
        ("payment_intent.canceled", {}, "canceled", None),
        ("payment_intent.processing", {}, "processing", None),
    ],
)
async def test_a_payment_that_does_not_succeed_says_why(
    student: Browser, stripe: Stripe, dashboard: Dashboard,
    type: str, object: dict[str, Any], status: str, reason: str | None,
) -> None:  # fmt: skip
    """Failure, cancellation and waiting change the status, and the reason arrives with it."""
    bought = buy(student)
    assert stripe.deliver(stripe.about(bought, type, **object)).status == 200
    *_, last = await dashboard.news("transaction_update")
    assert told([last]) == [("status_changed", status, "pending")]
    assert last["data"]["transaction"]["failure_reason"] == reason
    assert last["data"]["transaction"]["metadata"] == {"plan_name": "One month"}


async def test_an_event_that_cannot_be_applied_fails_and_leaves_the_payment_alone(
    student: Browser, stripe: Stripe, dashboard: Dashboard
) -> None:
    """A wrong amount is an event that failed, with its reason, and no change of the payment."""
    bought = buy(student)
    await dashboard.news()
    event = stripe.about(bought, "payment_intent.succeeded", amount_received=1)
    assert stripe.deliver(event).json == {"status": "failed"}
    frames = await dashboard.news("transaction_update", "webhook_event")
    assert told(frames) == [("created", "pending", None), ("status_changed", "failed", "pending")]
    shown = frames[-1]["data"]["event"]
    assert (shown["attempts"], shown["error_message"]) == (1, "Stripe received 0.01 for a purchase of 59.90")


async def test_a_failed_attempt_is_rolled_back_and_the_next_one_succeeds(
    student: Browser, stripe: Stripe, dashboard: Dashboard, rows: Database
) -> None:
    """While the payment is locked the event is retrying and the payment untouched; delivered again, both succeed."""
    bought = buy(student)
    event = stripe.about(bought, "payment_intent.succeeded")
    other = await rows.connect(autocommit=False)
    await other.execute("SELECT FROM finances_purchasetransaction WHERE id = %s FOR UPDATE", [bought["id"]])
    await dashboard.news()
    answer = await asyncio.to_thread(stripe.deliver, event)
    assert (answer.status, answer.json) == (503, {"status": "retrying"})
    frames = await dashboard.news("transaction_update", "webhook_event")
    assert told(frames) == [("created", "pending", None), ("status_changed", "retrying", "pending")]
    shown = frames[-1]["data"]["event"]
    assert (shown["attempts"], shown["error_message"]) == (1, "OperationalError")
    await other.rollback()
    assert stripe.deliver(event).json == {"status": "processed"}
    frames = await dashboard.news("transaction_update", "webhook_event")
    assert ("status_changed", "succeeded", "pending") in told(frames[:-1])
    assert told(frames[-1:]) == [("status_changed", "succeeded", "pending")]
    assert frames[-1]["data"]["event"]["attempts"] == 1


async def test_an_event_nobody_can_place_is_given_up_in_the_end(stripe: Stripe, dashboard: Dashboard) -> None:
    """For an unknown payment intent Stripe is asked to come again, and after five attempts no more."""
    event = stripe.event("payment_intent.succeeded", id="pi_of_somebody_else", amount_received=100)
    assert [stripe.deliver(event).status for _ in range(5)] == [503, 503, 503, 503, 200]
    *_, last = await dashboard.news("webhook_event")
    shown = last["data"]["event"]
    assert (shown["status"], shown["attempts"]) == ("failed", 5)
    assert shown["error_message"] == "no purchase has this payment intent yet"


async def test_only_stripe_is_believed(
    student: Browser, stripe: Stripe, dashboard: Dashboard, rows: Database
) -> None:
    """Without a fresh signature over this very body nothing is written; while secrets rotate one of two is enough."""
    body = json.dumps(stripe.about(buy(student), "payment_intent.succeeded")).encode()
    await dashboard.news()
    now = int(time.time())
    good = stripe.signature(body, now)
    count = "SELECT count(*) FROM finances_webhookeventlog"
    before = await rows.execute(count)
    for header in (
        None,
        "",
        good,
        f"v1={good}",
        f"t={now}",
        f"t={now},v0={good}",
        f"t={now},v1=é",
        f"t={now + 1},v1={good}",
        f"t={now},t={now - 1},v1={good}",
        f"t={now},v1={stripe.signature(body, now, 'whsec_another')}",
        f"t={now - 400},v1={stripe.signature(body, now - 400)}",
        f"t={now + 400},v1={stripe.signature(body, now + 400)}",
    ):
        assert stripe.post(body, header).status == 400, header
    assert stripe.post(body + b" ", f"t={now},v1={good}").status == 400
    assert stripe.post(b"[]", f"t={now},v1={stripe.signature(b'[]', now)}").json == {
        "error": "this is no event"
    }
    assert await rows.execute(count) == before
    assert await dashboard.news("transaction_update", "webhook_event") == []
    both = f"t={now},v1={stripe.signature(body, now, 'whsec_the_old_one')},v1={good}"
    assert stripe.post(body, both).json == {"status": "processed"}


async def test_disputes_and_fraud_warnings_arrive_with_their_payment(
    student: Browser, stripe: Stripe, dashboard: Dashboard
) -> None:
    """Each names the payment it is about, the alert through Django's many-to-many table."""
    bought = await paid(student, stripe, dashboard)
    dispute = {"id": f"dp_{bought['id']}", "currency": "eur", "reason": "fraudulent"}
    due = {"due_by": 1893456000}
    opened = stripe.about(
        bought, "charge.dispute.created", **dispute, status="needs_response", evidence_details=due
    )
    closed = stripe.about(bought, "charge.dispute.closed", **dispute, status="won", evidence_details=due)
    warning = stripe.about(bought, "radar.early_fraud_warning.created", id="issfr_1", fraud_type="lost_card")
    assert [stripe.deliver(event).status for event in (opened, closed, warning)] == [200, 200, 200]
    first, second, alert = await dashboard.news("dispute_update", "fraud_alert")
    assert told([first, second]) == [
        ("created", "needs_response", None),
        ("resolved", "won", "needs_response"),
    ]
    assert first["data"]["dispute"]["evidence_due_by"].startswith("2030-01-01T00:00:00")
    for shown in (first["data"]["dispute"], alert["data"]["alert"]):
        assert shown["payment_intent_id"] == bought["payment_intent_id"]
        assert shown["customer_email"] == "student@example.org"
        assert shown["amount"] == bought["amount"]


async def test_the_command_of_the_readme_plays_stripe(
    site: Site, student: Browser, dashboard: Dashboard
) -> None:
    """`manage.py stripe_event` delivers a signed event about a purchase."""
    bought = buy(student)
    out = site.manage("stripe_event", "payment_intent.succeeded", str(bought["id"]), "--server", site.base)
    assert out == '200 {"status": "processed"}\n'
    assert told(await dashboard.news("transaction_update"))[-1] == ("status_changed", "succeeded", "pending")
