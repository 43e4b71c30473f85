"""Tabs of a real browser that share one connection, and lose nothing when the one that holds it goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.support.database import Database
from tests.support.payments import pay, student
from tests.support.relay import OWNER, RunningRelay
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

BEGIN = """async ({token, options}) => {
    const { connectShared } = await import("/client/tabs.js");
    globalThis.told = { ids: [], resets: 0, rows: null };
    globalThis.relay = connectShared({ token, ...options });
    globalThis.part = relay.subscribe("transactions", { snapshot: 5 }, {
        onEvent: ({ row }) => told.ids.push(row.id),
        onReset: () => (told.resets += 1),
    });
}"""


async def open_tab(context: BrowserContext, running: RunningRelay, token: str | None = None) -> Page:
    """A tab whose page is connected and live."""
    page = await context.new_page()
    await page.goto(f"{running.http}/healthz")
    await page.evaluate(BEGIN, {"token": token or running.token(), "options": {}})
    await is_(page, "live")
    return page


async def is_(page: Page, state: str, transport: str | None = None) -> None:
    """Wait until the client of ``page`` says so."""

    async def so() -> bool:
        status: dict[str, Any] = await page.evaluate("relay.status")
        assert status["state"] == state, status
        assert transport in (None, status["transport"]), status
        return True

    await eventually(so)


def connections(running: RunningRelay) -> int:
    """Connections at the relay."""
    return len(running.daemon.services.hub.subscribers)


async def one_leads(tabs: list[Page]) -> int:
    """Wait until one of ``tabs`` has a connection and the others share it, and stays so while payments come; which one.

    What looks so for a moment may be one tab that has noticed earlier than the others that their leader is gone.
    """

    async def so() -> list[str]:
        transports = [await tab.evaluate("relay.status.transport") for tab in tabs]
        assert sorted(map(str, transports)) == ["shared"] * (len(tabs) - 1) + ["websocket"], transports
        for tab in tabs:
            told = await tab.evaluate("told.ids.length")
            await tab.wait_for_function("before => told.ids.length > before + 20", arg=told)
        assert transports == [await tab.evaluate("relay.status.transport") for tab in tabs]
        return transports

    return (await eventually(so, within=30)).index("websocket")


@contextlib.asynccontextmanager
async def payments_made(database: Database) -> AsyncIterator[list[str]]:
    """Somebody pays all the time; what was paid so far."""
    user = await student(database)
    paid: list[str] = []
    enough = asyncio.Event()

    async def go_on() -> None:
        while not enough.is_set():
            paid.append(str(await pay(database, user)))
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        group.create_task(go_on())
        try:
            yield paid
        finally:
            enough.set()


async def test_tabs_share_one_connection_and_no_event_is_lost_or_repeated_when_the_leader_goes(
    chromium: Browser, served: RunningRelay, payments: Database
) -> None:
    """With payments coming in all the time, three tabs end up on one connection; the leader is closed, and the next one
    frozen and thawed. Each tab that is left is told every payment once and in order, and is reset never."""
    async with contextlib.AsyncExitStack() as stack:
        context = await chromium.new_context()
        stack.push_async_callback(context.close)
        tabs = [await open_tab(context, served) for _ in range(4)]
        await eventually(lambda: connections(served) <= 4)
        async with payments_made(payments) as paid:
            closed = tabs.pop(await one_leads(tabs))
            assert connections(served) == 1
            await closed.close()

            frozen = tabs.pop(await one_leads(tabs))
            assert connections(served) == 1
            devtools = await context.new_cdp_session(frozen)
            # As dead as a frozen page, and unlike that to be had with a page that counts as visible.
            await devtools.send("Debugger.enable")
            await devtools.send("Debugger.pause")
            await one_leads(tabs)
            await devtools.send("Debugger.resume")
            await devtools.send("Debugger.disable")
            await is_(frozen, "live", "shared")
            tabs.append(frozen)
        for tab in tabs:
            await tab.wait_for_function("last => told.ids.includes(last)", arg=paid[-1])
            told = await tab.evaluate("told")
            assert told["ids"] == paid
            assert told["resets"] == 0


async def test_who_sees_something_else_shares_with_nobody(
    chromium: Browser, served: RunningRelay, payments: Database
) -> None:
    """Tabs of another subject or with other claims have connections of their own; a tab that wants a channel which the
    leader does not show goes back to its own, with nothing lost."""
    async with contextlib.AsyncExitStack() as stack:
        context = await chromium.new_context()
        stack.push_async_callback(context.close)
        leader = await open_tab(context, served)
        follower = await open_tab(context, served)
        await is_(follower, "live", "shared")
        stranger = await open_tab(context, served, served.token(subject="zoe"))
        owner = await open_tab(context, served, served.token(OWNER))
        for _ in range(3):
            payment = str(await pay(payments, await student(payments, f"s{_}@example.com")))
            for page in (leader, follower, stranger):
                await page.wait_for_function("id => told.ids.at(-1) === id", arg=payment)
        assert await owner.evaluate("told.ids") == []
        assert await stranger.evaluate("relay.status.transport") == "websocket"
        assert await owner.evaluate("relay.status.transport") == "websocket"
        await follower.evaluate("relay.subscribe('disputes') && null")
        await is_(follower, "live", "websocket")
        last = str(await pay(payments, await student(payments, "last@example.com")))
        await follower.wait_for_function("id => told.ids.at(-1) === id", arg=last)
        told = await follower.evaluate("told")
        assert (len(told["ids"]), told["resets"]) == (4, 0)
        # Once the leader shows it, too, there is nothing against sharing again.
        await leader.evaluate("relay.subscribe('disputes') && null")
        await is_(follower, "live", "shared")
