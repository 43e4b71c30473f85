"""Where the twelve steps of PAY-005 are taken: examples/django with people signed in, a real browser, two relays."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import jwt
from playwright.async_api import Browser, BrowserContext

from tests.support import purchases
from tests.support.browser import Browser as Session
from tests.support.client import Frame
from tests.support.database import Database
from tests.support.django_site import CHECKOUT, PASSWORD, Site
from tests.support.recorded_page import RecordedPage
from tests.support.second_relay import SecondRelay
from tests.support.stripe import Stripe
from tests.support.waiting import eventually

__all__ = ["PICTURES", "WITHIN", "Person", "Stage", "picture", "row_of"]

#: PAY-005 gives every update this many seconds.
WITHIN = 30
#: Where pictures go; below build/ they are no part of the repository.
PICTURES = Path(os.environ.get("RELAY_TEST_PICTURES") or CHECKOUT / "build" / "pay-005")

#: How the page writes the states of the site's payments.
SHOWN = {
    "pending": "Pending",
    "processing": "Processing",
    "completed": "Succeeded",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "refunded": "Refunded",
}

WEBHOOKS = {
    "received": "Pending",
    "processing": "Pending",
    "processed": "Succeeded",
    "retrying": "Retrying",
    "failed": "Failed",
}


def row_of(frame: Frame) -> dict[str, Any]:
    """The row that a change of one of the example's channels is about."""
    data = frame["data"]
    (row,) = (data[key] for key in ("transaction", "event", "dispute", "alert") if key in data)
    return dict(row)


async def picture(tab: RecordedPage, name: str) -> None:
    """Keep what the tab shows under the step's own file name."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    await tab.page.screenshot(path=PICTURES / f"{name}.png")


class Person:
    """One person's browser, signed in at the Django site or not."""

    def __init__(self, context: BrowserContext, site: Site) -> None:
        self.context = context
        self.site = site
        self.tabs: list[RecordedPage] = []

    async def sign_in(self, email: str) -> None:
        """Fill in the form of the site."""
        page = await self.context.new_page()
        await page.goto(f"{self.site.base}/login/")
        await page.locator("[name=username]").fill(email)
        await page.locator("[name=password]").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(lambda url: "/login/" not in url)
        await page.close()

    async def token(self) -> str:
        """What the site gives whoever has signed in."""
        answer = await self.context.request.get(f"{self.site.base}/api/relay-token/")
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["token"])

    async def altered(self, *, secret: str | None = None, **claims: Any) -> str:
        """The same token with other claims, signed with the site's secret or another one."""
        known = jwt.decode(await self.token(), options={"verify_signature": False})
        key = secret or self.site.environment["RELAY_SECRET"]
        return jwt.encode({**known, **claims}, key, algorithm="HS256")

    async def short(self, seconds: int, **claims: Any) -> str:
        """A good token that lives so long."""
        now = int(time.time())
        return await self.altered(iat=now, exp=now + seconds, **claims)

    async def blank(self) -> RecordedPage:
        """A recorded tab with nothing in it."""
        tab = RecordedPage(await self.context.new_page())
        await tab.record()
        self.tabs.append(tab)
        return tab

    async def open(
        self, base: str | None = None, *, token: str | None = None, **settings: str
    ) -> RecordedPage:
        """A recorded tab with the dashboard, live."""
        tab = await self.blank()
        await tab.open(base or self.site.relay_base, token or await self.token(), **settings)
        await tab.becomes("live", within=WITHIN)
        await tab.stay()
        return tab


@dataclass(repr=False)
class Stage:
    """What every step has. ``cookies`` are those of the administrator, who has signed in once."""

    chromium: Browser
    site: Site
    relay: SecondRelay
    rows: Database
    student: Session
    admin: Session
    cookies: Any = None

    @property
    def stripe(self) -> Stripe:
        """Stripe."""
        return self.site.stripe

    def buy(self, plan: str = "monthly") -> dict[str, Any]:
        """A purchase of the student at the shop: pending."""
        return purchases.buy(self.student, plan)

    def hear(
        self, bought: Mapping[str, Any], type: str, *, answer: int = 200, **object: Any
    ) -> dict[str, Any]:
        """Stripe's event about a purchase, delivered; ``answer`` is the status that Stripe gets for it."""
        event = self.stripe.about(bought, type, **object)
        answered = self.stripe.deliver(event)
        assert answered.status == answer, answered.text
        return event

    def buy_as(self, email: str) -> dict[str, Any]:
        """A purchase of somebody else."""
        return purchases.buy(self.site.browser(email))

    def pay(self, plan: str = "monthly") -> dict[str, Any]:
        """A purchase that Stripe has confirmed."""
        bought = self.buy(plan)
        self.hear(bought, "payment_intent.succeeded")
        return bought

    async def one(self, query: str, *params: Any) -> tuple[Any, ...]:
        """The one row of a query."""
        (row,) = await self.rows.execute(query, *params)
        return row

    def everything_happens(self) -> None:
        """A payment succeeds, one fails, one brings a fraud warning, and a webhook event cannot be applied."""
        self.hear(self.buy(), "payment_intent.payment_failed")
        bought = self.pay()
        self.hear(
            bought, "radar.early_fraud_warning.created", id=f"issfr_{bought['id']}", fraud_type="lost_card"
        )
        self.hear(self.buy(), "payment_intent.succeeded", amount_received=1)

    @contextlib.asynccontextmanager
    async def person(self, *, cookies: Any = None, **options: Any) -> AsyncIterator[Person]:
        """Somebody's browser profile, the administrator's if not told otherwise; no tab may find fault with a page."""
        context = await self.chromium.new_context(
            **{
                "viewport": {"width": 1440, "height": 1000},
                "locale": "en-GB",
                "timezone_id": "UTC",
                "ignore_https_errors": True,
                "storage_state": self.cookies if cookies is None else cookies,
            }
            | options
        )
        context.set_default_timeout(WITHIN * 1000)
        person = Person(context, self.site)
        try:
            yield person
            for tab in person.tabs:
                assert tab.faults == []
                assert [fault for socket in tab.sockets for fault in socket.faults] == []
        finally:
            await context.close()

    @contextlib.asynccontextmanager
    async def dashboard(self, base: str | None = None, **options: Any) -> AsyncIterator[RecordedPage]:
        """The administrator's dashboard, live."""
        async with self.person(**options) as administrator:
            yield await administrator.open(base)

    async def counted(self) -> tuple[int, Decimal, Decimal]:
        """From SQL, of the last 24 hours: how many payments, percent that worked, euros earned."""
        total, rate, revenue = await self.one(
            """
            SELECT count(*),
                   coalesce(round(100.0
                       * count(*) FILTER (WHERE payment_status IN ('completed', 'refunded'))
                       / nullif(count(*) FILTER (WHERE payment_status IN ('completed', 'refunded', 'failed')), 0),
                       2), 0),
                   coalesce(sum(amount) FILTER (WHERE payment_status = 'completed'), 0)
              FROM finances_purchasetransaction
             WHERE created_at >= date_trunc('minute', now()) - interval '24 hours'
            """
        )
        return total, rate, revenue

    async def tiles_right(self, tab: RecordedPage) -> tuple[int, Decimal, Decimal]:
        """Wait until the tiles say what SQL says; that."""

        async def equal() -> tuple[int, Decimal, Decimal]:
            total, rate, revenue = numbers = await self.counted()
            assert await tab.number("total_transactions") == f"{total:,}"
            assert await tab.number("success_rate") == f"{rate:.2f}%"
            assert await tab.number("total_revenue") == f"€{revenue:,.2f}"
            return numbers

        return await eventually(equal, within=WITHIN)

    async def list_right(
        self, tab: RecordedPage, where: str = "true", order: str = "created_at DESC"
    ) -> list[int]:
        """Wait until the list shows ids and states as SQL has them, in this order; the ids. It shows some at a time."""

        async def equal() -> tuple[list[int]]:
            found = await self.rows.execute(
                f"SELECT id, payment_status FROM finances_purchasetransaction WHERE {where} ORDER BY {order}, id DESC"
            )
            wanted = [(str(id), SHOWN[status]) for id, status in found]
            shown = await tab.payments()
            assert shown == wanted[: len(shown)], (shown[:5], wanted[:5])
            assert len(shown) >= min(len(wanted), 30), (len(shown), len(wanted))
            return ([id for id, _ in found[: len(shown)]],)

        (ids,) = await eventually(equal, within=WITHIN)
        return ids

    async def webhooks_right(self, tab: RecordedPage, *newest: str) -> None:
        """Wait until the panel of webhooks shows what SQL has, the ``newest`` of them with these states."""

        async def equal() -> bool:
            found = await self.rows.execute(
                "SELECT id, status FROM finances_webhookeventlog ORDER BY created_at DESC, id DESC LIMIT 8"
            )
            shown = await tab.page.locator("#webhooks .events li").evaluate_all(
                "items => items.map(item => [item.dataset.id, item.querySelector('.badge').textContent])"
            )
            assert shown == [[str(id), WEBHOOKS[status]] for id, status in found]
            return tuple(status for _, status in shown[: len(newest)]) == newest

        await eventually(equal, within=WITHIN)
