"""The dashboard on a network that fails, in several tabs, and asleep."""

from __future__ import annotations

import pytest
from playwright.async_api import WebSocketRoute

from tests.support.database import Database
from tests.support.live_page import LivePage, Tabs
from tests.support.payments import move, pay, student
from tests.support.proxy import TcpProxy
from tests.support.relay import RunningRelay, running_relay, settings_for
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: A platform on which WebSocket exists and never gets through.
BLOCKED = """
window.WebSocket = class {
  constructor() {
    setTimeout(() => { this.onerror?.(new Event("error")); this.onclose?.({ code: 1006, reason: "" }); }, 5);
  }
  close() {}
  send() {}
};
"""


async def top(tab: LivePage, count: int) -> list[tuple[str, str]]:
    """The first payments of the list."""
    return (await tab.payments())[:count]


async def test_a_network_that_comes_and_goes_loses_nothing(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """In each of several cuts the page says since when it is stale, comes back by itself, and then shows what was
    missed, once each."""
    user = await student(payments, "cut@example.com")
    async with TcpProxy.before(served.http) as proxy:
        browser.base = proxy.through(served.http)
        tab = await browser.tab(served.token())
        made: list[int] = []
        for _ in range(3):
            made.append(await pay(payments, user, "41.00"))
            await tab.shows(made[-1], "Pending")
            await proxy.cut()
            await tab.becomes("stale")
            assert (await tab.text("#state")).startswith("Stale since ")
            assert await tab.page.get_by_role("button", name="Reconnect").is_visible()
            await move(payments, made[-1], "completed")
            made.append(await pay(payments, user, "42.00"))
            await proxy.restore()
            await tab.page.get_by_role("button", name="Reconnect").click()
            await tab.becomes("live")
            await tab.shows(made[-2], "Succeeded")
        ids = [id for id, _ in await tab.payments()]
        assert len(ids) == len(set(ids))
        assert ids[: len(made)] == [str(id) for id in reversed(made)]


async def test_it_comes_back_without_anybody_pressing_anything(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """After a short cut the page reconnects by itself, tells what it caught up with, and the reconnect button goes."""
    user = await student(payments, "itself@example.com")
    async with TcpProxy.before(served.http) as proxy:
        browser.base = proxy.through(served.http)
        tab = await browser.tab(served.token())
        await proxy.cut()
        await tab.becomes("stale")
        payment = await pay(payments, user, "43.00")
        await proxy.restore()
        await tab.becomes("live")
        await tab.shows(payment, "Pending")
        assert not await tab.page.locator("#reconnect").is_visible()
        assert "caught up with 1 change" in await tab.text("#state-detail")


async def test_a_network_that_swallows_everything_is_noticed(browser: Tabs, served: RunningRelay) -> None:
    """A connection that stays open and says nothing is not called live for long."""
    async with TcpProxy.before(served.http) as proxy:
        browser.base = proxy.through(served.http)
        tab = await browser.tab(served.token())
        proxy.freeze()
        await tab.becomes("stale", "late", "connecting")
        proxy.thaw()
        await tab.becomes("live")


@pytest.mark.parametrize("count", [2, 5])
async def test_tabs_stay_in_step(browser: Tabs, served: RunningRelay, payments: Database, count: int) -> None:
    """Several tabs, each with its own connection, show the same payments with the same statuses and numbers."""
    user = await student(payments, f"step{count}@example.com")
    token = served.token()
    open_tabs = [await browser.tab(token) for _ in range(count)]
    made = [await pay(payments, user, "44.00") for _ in range(4)]
    await move(payments, made[1], "failed")
    await move(payments, made[3], "completed")
    expected = [
        (str(made[3]), "Succeeded"),
        (str(made[2]), "Pending"),
        (str(made[1]), "Failed"),
        (str(made[0]), "Pending"),
    ]

    async def same() -> bool:
        for tab in open_tabs:
            await tab.page.bring_to_front()  # a tab that nobody sees does not paint
            assert await top(tab, 4) == expected
        assert len({await tab.number("total_transactions") for tab in open_tabs}) == 1
        return True

    await eventually(same)


async def test_where_websocket_is_blocked_the_page_polls(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """The page says that it goes by long polling, is live all the same, and follows changes."""
    user = await student(payments, "blocked@example.com")
    await browser.context.add_init_script(BLOCKED)
    tab = await browser.tab(served.token())
    assert "by long polling" in await tab.text("#state")
    payment = await pay(payments, user, "45.00")
    await tab.shows(payment, "Pending")
    await move(payments, payment, "completed")
    await tab.shows(payment, "Succeeded")

    async def counted() -> bool:
        return await tab.number("total_transactions") != ""

    await eventually(counted)


async def test_a_page_that_slept_catches_up(browser: Tabs, served: RunningRelay, payments: Database) -> None:
    """While the page is frozen its connection dies unnoticed; when it wakes it finds out and shows what it missed."""
    user = await student(payments, "slept@example.com")
    async with TcpProxy.before(served.http) as proxy:
        browser.base = proxy.through(served.http)
        tab = await browser.tab(served.token())
        devtools = await browser.context.new_cdp_session(tab.page)
        await devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
        await proxy.cut()
        missed = [await pay(payments, user, "46.00") for _ in range(3)]
        await move(payments, missed[0], "completed")
        await proxy.restore()
        await devtools.send("Page.setWebLifecycleState", {"state": "active"})
        await tab.shows(missed[0], "Succeeded")
        await tab.shows(missed[2], "Pending")
        await tab.becomes("live")


async def test_a_relay_without_its_database_says_so_on_the_page(browser: Tabs, payments: Database) -> None:
    """While the relay cannot read the page is degraded, since when and why; it keeps what it has, and goes on after."""
    user = await student(payments, "degraded@example.com")
    async with TcpProxy.before(payments.daemon_dsn) as proxy:
        settings = settings_for(proxy.through(payments.daemon_dsn))
        async with running_relay(settings) as relay:
            browser.base = relay.http
            tab = await browser.tab(relay.token())
            kept = await pay(payments, user, "47.00")
            await tab.shows(kept, "Pending")
            await proxy.cut()
            await tab.becomes("degraded")
            assert (await tab.text("#state")).startswith("Degraded since ")
            notice = tab.page.locator('[data-notice="degraded"]')
            await eventually(notice.is_visible)
            assert "Changes may be missing since" in await notice.inner_text()
            assert (str(kept), "Pending") in await tab.payments()
            await proxy.restore()
            await tab.becomes("live")
            missed = await pay(payments, user, "48.00")
            await tab.shows(missed, "Pending")
            assert not await notice.is_visible()


async def test_a_message_that_makes_no_sense_breaks_nothing(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """What is no message of the protocol is passed over, and the page goes on."""
    user = await student(payments, "nonsense@example.com")
    nonsense = ['{"type": "from the future", "channel": "transactions"}', "{}", "[1]"]
    tab = LivePage(await browser.context.new_page())
    browser.pages.append(tab)

    async def between(ws: WebSocketRoute) -> None:
        server = ws.connect_to_server()

        def forward(text: str | bytes) -> None:
            for each in nonsense:
                ws.send(each)
            ws.send(text)

        server.on_message(forward)

    await tab.page.route_web_socket("**/ws/**", between)
    await tab.open(browser.base, served.token())
    await tab.becomes("live")
    payment = await pay(payments, user, "49.00")
    await tab.shows(payment, "Pending")
