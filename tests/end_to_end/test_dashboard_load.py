"""The dashboard under load, and after a week on the wall."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.database import Database
from tests.support.live_page import LivePage, Tabs
from tests.support.payments import pay, student
from tests.support.relay import RunningRelay
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

A_WEEK = (Path(__file__).parents[1] / "support" / "a_week.js").read_text()

#: Counts the time in tasks so long that a person notices (W3C Long Tasks: 50 ms and more).
WATCH_LONG_TASKS = """
window.long = 0;
new PerformanceObserver(list => { for (const task of list.getEntries()) window.long += task.duration; })
  .observe({ type: "longtask" });
window.began = performance.now();
"""
INSERT = """
INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status, metadata, created_at,
                                          updated_at)
SELECT %s, 'package', 9.50, 'processing', '{}', now(), now() FROM generate_series(1, 50)"""
UPDATE = """
UPDATE finances_purchasetransaction SET payment_status = 'completed', updated_at = now()
 WHERE id IN (SELECT id FROM finances_purchasetransaction WHERE student_id = %s AND payment_status = 'processing'
               ORDER BY id DESC LIMIT 50)"""


async def test_a_thousand_events_a_second_do_not_freeze_the_page(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """Under a storm of payments most of the time is free for the reader, a press is answered while it goes on, and in
    the end everything is shown."""
    user = await student(payments, "storm@example.com")
    tab = await browser.tab(served.token())
    await tab.page.evaluate(WATCH_LONG_TASKS)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    # A hundred changes every tenth of a second, half of them new payments. Late steps are made up for.
    for step in range(40):
        await payments.execute(INSERT, user)
        await payments.execute(UPDATE, user)
        await asyncio.sleep(max(0.0, begin + (step + 1) * 0.1 - loop.time()))
        if step == 20:
            await tab.page.get_by_role("button", name="7 days").click()
            assert "window=7d" in await tab.fragment()
    rate = 4000 / (loop.time() - begin)
    last = await pay(payments, user, "10.00", "failed")
    await tab.shows(last, "Failed")
    blocked = await tab.page.evaluate("window.long / (performance.now() - window.began)")
    assert blocked < 0.35, f"at {rate:.0f} events a second {blocked:.0%} of the time went into long tasks"
    assert await tab.state() == "live"

    async def complete() -> bool:
        return await tab.number("total_transactions") == "2,001"

    await eventually(complete)


async def measure(tab: LivePage) -> tuple[int, int]:
    """Nodes of the document and bytes of the heap, after the garbage has gone."""
    devtools = await tab.page.context.new_cdp_session(tab.page)
    await devtools.send("HeapProfiler.collectGarbage")
    heap = await devtools.send("Runtime.getHeapUsage")
    await devtools.detach()
    return await tab.page.evaluate("document.querySelectorAll('*').length"), heap["usedSize"]


async def test_a_week_on_the_wall_leaves_the_page_as_light_as_a_day(
    browser: Tabs, served: RunningRelay
) -> None:
    """Thirty thousand changes spread over a week, of all channels: nodes and memory stay what they were after the
    first part of them, however many came."""
    await browser.context.add_init_script(A_WEEK)
    tab = await browser.tab(served.token())
    await tab.page.evaluate("week.pass(8000)")
    nodes, heap = await measure(tab)
    await tab.page.evaluate("week.pass(22000)")
    more_nodes, more_heap = await measure(tab)
    assert await tab.page.evaluate("week.days()") >= 7
    assert len(await tab.payments()) == 50
    assert "of 500 shown" in await tab.text("#payments-foot")
    assert more_nodes < 1.1 * nodes
    assert more_heap < 1.5 * heap
