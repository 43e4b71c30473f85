"""Buying something from examples/django."""

from __future__ import annotations

from typing import Any

from tests.support.browser import Browser
from tests.support.dashboard import Dashboard, told
from tests.support.stripe import Stripe

__all__ = ["buy", "paid"]


def buy(browser: Browser, plan: str = "monthly") -> dict[str, Any]:
    """What the checkout answers for one purchase."""
    answer = browser.post("/api/finances/checkout/", {"plan": plan})
    assert answer.status == 201, answer.text
    bought: dict[str, Any] = answer.json
    return bought


async def paid(browser: Browser, stripe: Stripe, dashboard: Dashboard) -> dict[str, Any]:
    """A purchase that Stripe has confirmed and the dashboard has heard of."""
    bought = buy(browser)
    assert stripe.deliver(stripe.about(bought, "payment_intent.succeeded")).status == 200
    assert told(await dashboard.news("transaction_update")) == [
        ("created", "pending", None),
        ("status_changed", "succeeded", "pending"),
    ]
    return bought
