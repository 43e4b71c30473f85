"""The dashboard in Firefox and in WebKit: it opens, goes live, and shows a payment as it is made and paid."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.support.acceptance import PICTURES
from tests.support.browser import Browser
from tests.support.django_site import Site
from tests.support.other_browsers import OtherBrowser, firefox, webkit
from tests.support.purchases import buy
from tests.support.stripe import Stripe
from tests.support.waiting import eventually

#: Starting everything counts for the first test.
pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("launch", [firefox, webkit], ids=["firefox", "webkit"])
async def test_the_dashboard_lives_in_other_browsers(
    launch: Callable[[Path], AbstractAsyncContextManager[OtherBrowser]],
    site: Site,
    student: Browser,
    administrator: Browser,
    stripe: Stripe,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Over a WebSocket of its own, with the token taken out of the address, and without a reload."""
    async with launch(tmp_path) as browser:

        async def says(selector: str, words: str) -> None:
            async def there() -> bool:
                text = await browser.evaluate(
                    f"document.querySelector({selector!r})?.textContent ?? 'nothing'"
                )
                assert words in text, text
                return True

            await eventually(there, within=60)

        token = administrator.get("/api/relay-token/").json["token"]
        await browser.open(f"{site.relay_base}/#token={token}")
        await says("#state-label", "Live")
        assert await browser.evaluate("document.getElementById('state-detail').textContent") == ""
        assert await browser.evaluate("location.hash") == ""
        await browser.evaluate("window.stayed = true")
        bought = buy(student)
        await says(f'#rows tr[data-id="{bought["id"]}"] .badge', "Pending")
        stripe.deliver(stripe.about(bought, "payment_intent.succeeded"))
        await says(f'#rows tr[data-id="{bought["id"]}"] .badge', "Succeeded")
        await says('.tile[data-metric="total_revenue"] .number', "€")
        assert await browser.evaluate("window.stayed") is True
        PICTURES.mkdir(parents=True, exist_ok=True)
        name = f"10-{request.node.callspec.id}.png"
        (PICTURES / name).write_bytes(await browser.picture())
