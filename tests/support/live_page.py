"""The dashboard in tabs of a real browser, and what a person would read there."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.support.relay import RunningRelay
from tests.support.waiting import eventually

__all__ = ["LivePage", "Tabs", "tabs"]

#: What a browser itself writes to its console when a network is cut, which is no fault of the page.
NETWORK = ("Failed to load resource", "WebSocket connection to", "net::ERR_")


class LivePage:
    """One tab with the dashboard. Nothing in it may throw, and nothing may be against its security policy."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(words in message.text for words in NETWORK):
            self.faults.append(message.text)

    async def open(self, base: str, token: str | None = None, **settings: str) -> None:
        """Go to the dashboard of the relay at ``base``, as somebody who follows a link."""
        fragment = urlencode({**({"token": token} if token else {}), **settings})
        await self.page.goto(f"{base}/#{fragment}" if fragment else f"{base}/")

    async def state(self) -> str:
        """What the page says of its connection: the name of the state."""
        return str(await self.page.locator("#state").get_attribute("data-state"))

    async def becomes(self, *states: str, within: float = 20) -> None:
        """Wait until the page says one of ``states``."""

        async def said() -> bool:
            state = await self.state()
            assert state in states, f"the page says {state}, not {states}"
            return True

        await eventually(said, within=within)

    async def text(self, selector: str) -> str:
        """What is written there, "" where nothing is shown."""
        found = self.page.locator(selector).first
        return (await found.inner_text()).strip() if await found.is_visible() else ""

    async def number(self, metric: str) -> str:
        """What the tile of ``metric`` says."""
        return await self.text(f'.tile[data-metric="{metric}"] .number')

    async def payments(self) -> list[tuple[str, str]]:
        """Id and status of the payments in the list, from the top."""
        rows = await self.page.locator("#rows tr").evaluate_all(
            "rows => rows.map(row => [row.dataset.id, row.querySelector('.badge').textContent])"
        )
        return [(str(id), str(status)) for id, status in rows]

    async def shows(self, payment: int, status: str) -> None:
        """Wait until the list has ``payment`` with ``status``."""

        async def there() -> bool:
            assert (str(payment), status) in await self.payments()
            return True

        await eventually(there)

    async def fragment(self) -> str:
        """What stands behind the # of the address."""
        return str(await self.page.evaluate("location.hash.slice(1)"))


class Tabs:
    """Tabs of one person's browser on one relay."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.context = context
        self.base = base
        self.pages: list[LivePage] = []

    async def tab(self, token: str | None = None, *, live: bool = True, **settings: str) -> LivePage:
        """A new tab that has signed in, and is live unless told otherwise."""
        page = LivePage(await self.context.new_page())
        self.pages.append(page)
        await page.open(self.base, token, **settings)
        if live:
            await page.becomes("live")
        return page


@contextlib.asynccontextmanager
async def tabs(
    browser: Browser, relay: RunningRelay, *, base: str | None = None, **options: Any
) -> AsyncIterator[Tabs]:
    """A browser profile of its own; at the end no tab may have found fault with the page."""
    context = await browser.new_context(
        **{"viewport": {"width": 1440, "height": 900}, "locale": "en-GB", "timezone_id": "UTC"} | options
    )
    # Wall-clock limits are for hung browsers only; what a test waits for it waits for with eventually().
    context.set_default_timeout(20_000)
    dashboard = Tabs(context, base or relay.http)
    try:
        yield dashboard
        faults = {fault for page in dashboard.pages for fault in page.faults}
        assert not faults, "\n".join(sorted(faults))
    finally:
        await context.close()
