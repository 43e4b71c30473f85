"""Signing in to the dashboard, staying signed in, and being told why one is not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Route

from tests.support.database import Database
from tests.support.live_page import LivePage, Tabs
from tests.support.payments import pay, student
from tests.support.relay import RunningRelay, running_relay, settings_for
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN_PATH = "/api/relay-token/"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(payments: Database) -> AsyncIterator[RunningRelay]:
    """A relay on whose clock tokens end to the second."""
    async with running_relay(settings_for(payments.daemon_dsn, auth={"leeway_seconds": 0})) as relay:
        yield relay


async def told(tab: LivePage, words: str) -> None:
    """Wait until the form to sign in gives this reason."""

    async def said() -> bool:
        reason = await tab.text("#sign-in-why")
        assert words in reason, reason
        return True

    await eventually(said)


async def sign_in(tab: LivePage, token: str) -> None:
    """Enter a token as a person would."""
    await tab.page.get_by_label("Token").fill(token)
    await tab.page.get_by_role("button", name="Connect").click()


async def test_without_a_token_the_page_asks_for_one(browser: Tabs, served: RunningRelay) -> None:
    """It shows a form and nothing else, and is live with the token that is entered."""
    tab = await browser.tab(live=False)
    await eventually(lambda: tab.page.locator("#sign-in").is_visible())
    assert await tab.text("#main") == ""
    await sign_in(tab, served.token())
    await tab.becomes("live")
    assert await tab.text("#sign-in") == ""


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("not a token at all", "does not accept this token"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.AAAA", "does not accept this token"),
        ("expired", "Your token has expired. Give a fresh one"),
        ("nothing", "no policy of the relay lets it see payments"),
    ],
)
async def test_a_token_that_is_not_good_is_explained(
    browser: Tabs, served: RunningRelay, token: str, words: str
) -> None:
    """The reason is told in words that say what to do, and a good token helps at once."""
    given = {"expired": served.token(seconds=-100), "nothing": served.token({})}.get(token, token)
    tab = await browser.tab(given, live=False)
    await told(tab, words)
    await tab.becomes("signed-out")
    await sign_in(tab, served.token())
    await tab.becomes("live")


async def test_a_token_that_ends_is_announced_and_what_came_meanwhile_is_not_lost(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """Before the end a notice asks for a fresh one; after it the page is signed out and keeps what it showed; with a
    fresh one it goes on where it was."""
    user = await student(payments, "ends@example.com")
    before = await pay(payments, user, "21.00")
    tab = await browser.tab(served.token(seconds=6))
    await tab.shows(before, "Pending")
    await eventually(lambda: tab.page.locator('[data-notice="token"]').is_visible())
    assert "Your token ends at" in await tab.text('[data-notice="token"]')
    await told(tab, "Your token has expired")
    await tab.becomes("signed-out")
    assert (str(before), "Pending") in await tab.payments()
    missed = await pay(payments, user, "22.00")
    await sign_in(tab, served.token())
    await tab.becomes("live")
    await tab.shows(missed, "Pending")


async def test_a_fresh_token_may_come_in_the_address_of_an_open_page(
    browser: Tabs, served: RunningRelay
) -> None:
    """Somebody who pastes a new link into the tab is signed in with it, and it goes from the address as well."""
    tab = await browser.tab(served.token(seconds=-100), live=False)
    await told(tab, "expired")
    await tab.open(browser.base, served.token(), q="ada")
    await tab.becomes("live")
    assert await tab.fragment() == "q=ada"
    assert await tab.page.get_by_role("searchbox").input_value() == "ada"


async def test_the_page_renews_its_token_by_itself(browser: Tabs, payments: Database) -> None:
    """With dashboard.token_url it gets its first token there and each next one in time, and is never but live."""
    settings = settings_for(
        payments.daemon_dsn, auth={"leeway_seconds": 0}, dashboard={"token_url": TOKEN_PATH}
    )
    asked: list[str] = []
    async with running_relay(settings) as relay:

        async def hand_out(route: Route) -> None:
            asked.append(route.request.method)
            await route.fulfill(json={"token": relay.token(seconds=6)})

        await browser.context.route(f"**{TOKEN_PATH}", hand_out)
        browser.base = relay.http
        tab = await browser.tab()
        await tab.page.evaluate(
            "window.states = []; new MutationObserver(() => states.push(state.dataset.state))"
            ".observe(document.getElementById('state'), {attributes: true})"
        )
        await eventually(lambda: len(asked) >= 3)
        payment = await pay(payments, await student(payments, "renewed@example.com"), "23.00")
        await tab.shows(payment, "Pending")
        assert set(await tab.page.evaluate("states")) <= {"live"}
        assert set(asked) == {"GET"}


async def test_whoever_is_not_signed_in_at_the_backend_is_told(browser: Tabs, payments: Database) -> None:
    """Where the address of tokens answers 401 the page asks to sign in, and shows nothing."""
    settings = settings_for(payments.daemon_dsn, dashboard={"token_url": TOKEN_PATH})
    async with running_relay(settings) as relay:
        await browser.context.route(f"**{TOKEN_PATH}", lambda route: route.fulfill(status=401, json={}))
        browser.base = relay.http
        tab = await browser.tab(live=False)
        await tab.becomes("signed-out")
        await told(tab, "You are signed out")
        assert await tab.text("#main") == ""


async def test_signing_out_leaves_nothing_on_the_screen(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """After signing out there is a form and no payment, also after going back."""
    payment = await pay(payments, await student(payments, "leaves@example.com"), "24.00")
    tab = await browser.tab(served.token())
    await tab.shows(payment, "Pending")
    await tab.page.get_by_role("button", name="Sign out").click()
    await eventually(lambda: tab.page.locator("#sign-in").is_visible())
    assert await tab.payments() == []
