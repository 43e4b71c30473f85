"""examples/django beside a relay: HTTP requests in, WebSocket messages out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.dashboard import Dashboard, told
from tests.support.database import Database
from tests.support.purchases import buy, paid
from tests.support.stripe import Stripe

#: Starting everything counts for the first test.
pytestmark = pytest.mark.timeout(180)


def refund(browser: Browser, bought: dict[str, Any], **body: str) -> Any:
    """The answer to a refund of all, or of ``amount``."""
    path = f"/api/finances/purchases/{bought['id']}/refund/"
    return browser.post(path, body=json.dumps(body).encode() if body else b"")


async def test_a_checkout_is_one_new_payment_that_is_pending(student: Browser, dashboard: Dashboard) -> None:
    """INSERT and UPDATE in one transaction arrive as one message with the final row, and only listed fields of it."""
    bought = buy(student, "package-10")
    (frame,) = await dashboard.news("transaction_update")
    assert told([frame]) == [("created", "pending", None)]
    row = frame["data"]["transaction"]
    assert row.pop("created_at")
    assert row.pop("updated_at")
    assert row == {
        "id": str(bought["id"]),
        "payment_intent_id": bought["payment_intent_id"],
        "customer_email": "student@example.org",
        "customer_name": "Sam Student",
        "amount": "149.00",
        "currency": "eur",
        "status": "pending",
        "status_display": "Pending",
        "transaction_type": "package",
        "failure_reason": None,
        "risk_score": None,
        "expires_at": None,
        "metadata": {"plan_name": "Ten lessons"},
    }


async def test_a_request_that_is_rolled_back_is_never_heard_of(
    student: Browser, dashboard: Dashboard, rows: Database
) -> None:
    """A declined card rolls back the purchase that was inserted already: no row, no event, no message."""
    count = "SELECT count(*) FROM finances_purchasetransaction"
    before = await rows.execute(count)
    answer = student.post(
        "/api/finances/checkout/", {"plan": "trial", "payment_method": "pm_card_chargeDeclined"}
    )
    assert (answer.status, answer.json) == (402, {"error": "Your card was declined."})
    assert await rows.execute(count) == before
    assert await dashboard.news("transaction_update", "withheld", "resync") == []


async def test_a_full_refund_changes_the_status(
    student: Browser, administrator: Browser, stripe: Stripe, dashboard: Dashboard
) -> None:
    """All of it given back is `refunded`, and more cannot be given back; what is refused changes nothing."""
    bought = await paid(student, stripe, dashboard)
    assert refund(student, bought).status == 403
    assert refund(administrator, bought, amount="60.00").status == 409
    assert refund(administrator, bought, amount="NaN").status == 400
    assert refund(administrator, bought).json == {"payment_status": "refunded", "refunded_amount": "59.90"}
    assert refund(administrator, bought).status == 409
    (frame,) = await dashboard.news("transaction_update")
    assert told([frame]) == [("status_changed", "refunded", "succeeded")]


async def test_a_partial_refund_keeps_the_status(
    student: Browser, administrator: Browser, stripe: Stripe, dashboard: Dashboard
) -> None:
    """Part of it given back is `updated`; that Stripe reports it, too, changes nothing; the rest makes it refunded."""
    bought = await paid(student, stripe, dashboard)
    assert refund(administrator, bought, amount="9.90").status == 200
    (frame,) = await dashboard.news("transaction_update")
    assert told([frame]) == [("updated", "succeeded", None)]
    assert set(frame["data"]["changed"]) == {"metadata", "updated_at"}
    assert frame["data"]["transaction"]["metadata"] == {"plan_name": "One month", "refunded_amount": "9.90"}
    assert not re.search(
        r"\bre_", str(frame)
    )  # the ids of refunds are in the column, and not among the listed keys
    assert stripe.deliver(stripe.about(bought, "charge.refunded", amount_refunded=990)).status == 200
    assert await dashboard.news("transaction_update") == []
    assert stripe.deliver(stripe.about(bought, "charge.refunded", amount_refunded=5990)).status == 200
    assert told(await dashboard.news("transaction_update")) == [("status_changed", "refunded", "succeeded")]


async def test_a_bulk_action_is_one_message_for_each_row(
    student: Browser, administrator: Browser, dashboard: Dashboard
) -> None:
    """queryset.update() in the admin calls no save() and sends no signal, and every row of it arrives."""
    bought = [buy(student)["id"] for _ in range(3)]
    await dashboard.news()
    page = "/admin/finances/purchasetransaction/"
    for action, status, previous in (
        ("mark_failed", "failed", "pending"),
        ("mark_refunded", "refunded", "failed"),
    ):
        answer = administrator.post(page, {"action": action, "_selected_action": bought})
        assert answer.status == 200
        frames = await dashboard.news("transaction_update")
        assert told(frames) == [("status_changed", status, previous)] * 3
        assert {int(frame["data"]["transaction"]["id"]) for frame in frames} == set(bought)
        assert [frame["data"]["changed"] for frame in frames] == [
            ["status", "status_display"]
        ] * 3  # not even updated_at
