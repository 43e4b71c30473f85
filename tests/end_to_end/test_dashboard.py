"""The dashboard in a real browser: what it shows, and that it goes on showing what is so."""

from __future__ import annotations

import json
from urllib.parse import urldefrag

import pytest

from tests.support.database import Database
from tests.support.live_page import Tabs
from tests.support.payments import move, pay, student
from tests.support.relay import OWNER, RunningRelay
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_link_with_a_token_opens_a_live_page(browser: Tabs, served: RunningRelay) -> None:
    """The token is taken out of the address at once and stored nowhere; the page is live and says how old it is."""
    asked: list[str] = []
    browser.context.on("request", lambda request: asked.append(urldefrag(request.url).url))
    token = served.token()
    tab = await browser.tab(token, status="failed")
    assert await tab.fragment() == "status=failed"
    assert (await tab.text("#as-of")).startswith("Complete up to ")
    assert await tab.text("#state") == "Live"
    stored = await tab.page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert json.loads(stored) == [{}, {}, ""]
    assert len(asked) > 10
    assert [url for url in asked if token in url] == []


async def test_numbers_move_with_the_payments(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """A payment that is made and paid counts in the tiles, which name their window and what they count."""
    user = await student(payments, "numbers@example.com")
    await pay(payments, user, "10.00", "completed")
    tab = await browser.tab(served.token())
    before = int(await eventually(lambda: tab.number("total_transactions")))
    payment = await pay(payments, user, "40.00")

    async def counted() -> bool:
        assert await tab.number("total_transactions") == str(before + 1)
        assert await tab.number("pending_transactions") != "0"
        return True

    await eventually(counted)
    revenue = await tab.number("total_revenue")
    await move(payments, payment, "completed")

    async def earned() -> bool:
        return await tab.number("total_revenue") != revenue

    await eventually(earned)
    tile = await tab.text('.tile[data-metric="success_rate"]')
    assert "24 hours" in tile
    assert "Worked, of the payments that were tried" in tile
    await tab.page.get_by_role("button", name="30 days").click()
    assert await tab.fragment() == "window=30d"

    async def another_window() -> bool:
        return "30 days" in await tab.text('.tile[data-metric="total_revenue"]')

    await eventually(another_window)


async def test_the_list_follows_without_a_reload(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """A new payment comes on top, its status moves, both are marked for a while, and its history tells the way."""
    user = await student(payments, "follows@example.com")
    tab = await browser.tab(served.token())
    payment = await pay(payments, user, "77.00")
    await tab.shows(payment, "Pending")
    assert (await tab.payments())[0] == (str(payment), "Pending")
    assert await tab.text(f'tr[data-id="{payment}"] .news') == "new"
    await move(payments, payment, "processing")
    await tab.shows(payment, "Processing")
    await tab.page.locator(f'tr[data-id="{payment}"]').click()
    await move(payments, payment, "completed")

    async def told() -> bool:
        steps = await tab.page.locator("#detail .timeline .what").all_inner_texts()
        assert steps == ["Created as pending", "Processing", "Succeeded"], steps
        return True

    await eventually(told)
    assert "€77.00" in await tab.text("#detail header")
    await tab.page.keyboard.press("Escape")
    assert await tab.text("#detail") == ""


async def test_filter_search_and_sort_hold_through_updates_and_reloads(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """They apply to what comes live, stand in the address without the token, and are there again after a reload."""
    user = await student(payments, "holds@example.com")
    small = await pay(payments, user, "501.00", "failed")
    large = await pay(payments, user, "503.00", "failed")
    await pay(payments, user, "504.00", "completed")
    token = served.token()
    tab = await browser.tab(token)
    await tab.shows(large, "Failed")
    await tab.page.locator('#statuses button[data-status="failed"]').click()
    await tab.page.get_by_role("searchbox").fill("holds@")
    await tab.page.get_by_role("button", name="Amount").click()

    async def shown(*expected: int) -> bool:
        assert [id for id, _ in await tab.payments()] == [str(id) for id in expected]
        return True

    await eventually(lambda: shown(large, small))
    middle = await pay(payments, user, "502.00", "failed")
    await pay(payments, await student(payments, "other@example.com"), "502.50", "failed")
    await eventually(lambda: shown(large, middle, small))
    await move(payments, large, "refunded")
    await eventually(lambda: shown(middle, small))
    assert await tab.fragment() == "status=failed&q=holds%40&sort=-amount"
    header = tab.page.locator('th[data-column="amount"]')
    assert await header.get_attribute("aria-sort") == "descending"
    assert await tab.page.locator('#statuses [aria-pressed="true"]').all_inner_texts() == ["Failed"]

    await tab.page.reload()
    assert await tab.text("#sign-in h2") == "Sign in"
    assert await tab.text("#state-label") == "Not signed in"
    await tab.page.get_by_label("Token").fill(token)
    await tab.page.keyboard.press("Enter")
    await tab.becomes("live")
    await eventually(lambda: shown(middle, small))
    assert await tab.page.get_by_role("searchbox").input_value() == "holds@"


async def test_a_paused_list_holds_still_and_counts_what_waits(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """While paused nothing moves and the button tells how many payments are new; then all of it is there at once.
    Another filter shows what is there now, and holds that still."""
    user = await student(payments, "paused@example.com")
    first = await pay(payments, user)
    tab = await browser.tab(served.token())
    await tab.shows(first, "Pending")
    still = await tab.payments()
    await tab.page.get_by_role("button", name="Pause").click()
    new = [await pay(payments, user) for _ in range(3)]
    await move(payments, new[0], "completed")
    pause = tab.page.locator("#pause")

    async def waiting() -> bool:
        assert await pause.inner_text() == "Resume · 3 new"
        return True

    await eventually(waiting)
    assert await tab.payments() == still
    await tab.page.locator('#statuses [data-status="succeeded"]').click()

    async def filtered() -> bool:
        assert {status for _, status in await tab.payments()} == {"Succeeded"}
        assert (await pause.inner_text()) == "Resume"
        return True

    await eventually(filtered)
    await tab.page.locator('#statuses [data-status="succeeded"]').click()
    await pause.click()
    await tab.shows(new[0], "Succeeded")

    async def on_top() -> bool:
        assert [id for id, _ in (await tab.payments())[:3]] == [str(id) for id in reversed(new)]
        return True

    await eventually(on_top)


async def test_what_is_read_further_down_stays_where_it_is(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """Rows that come while somebody has scrolled down wait above, are counted, and one press shows them."""
    user = await student(payments, "scrolled@example.com")
    await payments.execute(
        "INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status, metadata,"
        " created_at, updated_at) SELECT %s, 'package', 5, 'completed', '{}', now(), now()"
        " FROM generate_series(1, 60)",
        user,
    )
    tab = await browser.tab(served.token())

    async def filled() -> bool:
        return len(await tab.payments()) == 50

    await eventually(filled)
    await tab.page.locator("#payments-scroll").evaluate("node => node.scrollTo(0, 600)")

    async def held() -> bool:
        payment = await pay(payments, user)
        return (str(payment), "Pending") not in await tab.payments() and await tab.page.locator(
            "#fresh"
        ).is_visible()

    await eventually(held)
    above = await tab.page.locator("#rows tr").first.get_attribute("data-id")
    latest = await pay(payments, user)
    assert await tab.page.locator("#rows tr").first.get_attribute("data-id") == above
    await tab.page.locator("#fresh").click()
    await tab.shows(latest, "Pending")


async def test_queues_are_in_the_order_of_what_presses(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """Disputes by deadline with the overdue first, alerts by score and then age, payments that hang by age."""
    user = await student(payments, "queues@example.com")
    payment = await pay(payments, user, "60.00", "completed")
    for name, hours in (("later", 90), ("overdue", -3), ("soon", 5)):
        await payments.execute(
            "INSERT INTO finances_paymentdispute (stripe_dispute_id, purchase_transaction_id, amount, currency,"
            " reason, status, evidence_details, evidence_due_by, is_responded, internal_notes, stripe_metadata,"
            " created_at, updated_at) VALUES (%s, %s, 60, 'eur', %s, 'needs_response', '{}',"
            " now() + %s * interval '1 hour', false, '', '{}', now(), now())",
            f"dp_{name}", payment, name, hours,
        )  # fmt: skip
    for score in (35, 92, 61):
        await payments.execute(
            "INSERT INTO finances_fraudalert (alert_id, severity, status, alert_type, description, target_user_id,"
            " detection_data, risk_score, resolution_notes, actions_taken, created_at, updated_at)"
            " VALUES (%s, 'high', 'active', 'card_testing', '', %s, '{}', %s, '', '[]', now(), now())",
            f"FA-{score}", user, score,
        )  # fmt: skip
    stuck = await pay(payments, user, "61.00", "processing")
    await payments.execute(
        "UPDATE finances_purchasetransaction SET created_at = now() - interval '3 hours' WHERE id = %s", stuck
    )
    tab = await browser.tab(served.token())

    async def in_order() -> bool:
        assert await tab.page.locator("#disputes .first").all_inner_texts() == ["Overdue", "Soon", "Later"]
        due = await tab.page.locator("#disputes .due").all_inner_texts()
        assert [words.split()[0] for words in due] == ["overdue", "4", "3"]  # hours, days
        assert await tab.page.locator("#fraud .score-box b").all_inner_texts() == ["92", "61", "35"]
        assert await tab.page.locator(f'#stuck li[data-id="{stuck}"]').count() == 1
        assert await tab.number("stuck_transactions") == "1"
        return True

    await eventually(in_order)
    await payments.execute("UPDATE finances_paymentdispute SET status = 'won' WHERE reason = 'overdue'")
    await payments.execute("UPDATE finances_fraudalert SET status = 'resolved' WHERE risk_score = 92")
    await move(payments, stuck, "completed")

    async def done() -> bool:
        assert await tab.page.locator("#disputes .first").all_inner_texts() == ["Soon", "Later"]
        assert await tab.page.locator("#fraud .score-box b").all_inner_texts() == ["61", "35"]
        assert await tab.page.locator("#stuck li").count() == 0
        return True

    await eventually(done)


async def test_webhooks_and_their_health(browser: Tabs, served: RunningRelay, payments: Database) -> None:
    """Events are shown with status and error, and an endpoint with five failures is called unhealthy in words."""
    tab = await browser.tab(served.token())
    await payments.execute(
        "INSERT INTO finances_webhookeventlog (stripe_event_id, event_type, status, payload, processed_at,"
        " error_message, retry_count, created_at, updated_at) SELECT 'evt_' || n, 'charge.refunded', 'failed', '{}',"
        " now(), 'balance row is locked', 5, now(), now() FROM generate_series(1, 5) AS n"
    )

    async def unhealthy() -> bool:
        text = await tab.text("#webhooks")
        assert "Unhealthy" in text
        assert "balance row is locked" in text
        assert await tab.page.locator("#webhooks .events li").count() == 5
        return True

    await eventually(unhealthy)


async def test_many_failures_are_warned_of(browser: Tabs, served: RunningRelay, payments: Database) -> None:
    """When far more payments fail than usual the page says so, with the reasons, and leads to them."""
    user = await student(payments, "spike@example.com")
    await payments.execute(
        "INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status, metadata,"
        " created_at, updated_at) SELECT %s, 'package', 5, 'completed', '{}', now() - interval '2 hours',"
        " now() - interval '2 hours' FROM generate_series(1, 40)",
        user,
    )
    tab = await browser.tab(served.token())
    await payments.execute(
        "INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status, metadata,"
        " created_at, updated_at) SELECT %s, 'package', 5, 'failed', '{\"error_message\": \"issuer down\"}', now(),"
        " now() FROM generate_series(1, 90)",
        user,
    )

    async def warned() -> bool:
        text = await tab.text("#spike")
        assert "of payments failed in the last 15 minutes" in text
        assert "issuer down" in text
        return True

    await eventually(warned)
    await tab.page.get_by_role("button", name="Show failed").click()
    assert "status=failed" in await tab.fragment()


async def test_only_what_is_granted_is_shown(browser: Tabs, served: RunningRelay, payments: Database) -> None:
    """Somebody who may see payments and disputes of a school sees no place for anything else, and names masked."""
    mine = await pay(payments, await student(payments, "ours@example.com", school=1), "31.00")
    await pay(payments, await student(payments, "theirs@example.com", school=2), "32.00")
    tab = await browser.tab(served.token(OWNER, subject="owner"))
    await tab.shows(mine, "Pending")
    assert [id for id, _ in await tab.payments()] == [str(mine)]
    assert "ours@" not in await tab.text("#payments")
    shown = {
        part: await tab.page.locator(f"#{part}").is_visible()
        for part in ("payments", "disputes", "stuck", "metrics", "trend", "fraud", "webhooks")
    }
    assert {part for part, visible in shown.items() if visible} == {"payments", "disputes", "stuck"}


async def test_it_can_be_used_without_a_mouse_and_without_eyes(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """Landmarks and headings name the parts, a row opens with the keyboard, focus returns, states are spoken."""
    await pay(payments, await student(payments, "keys@example.com"))
    tab = await browser.tab(served.token())
    page = tab.page
    for role, name in (
        ("region", "Payments"),
        ("region", "Overview"),
        ("region", "Disputes"),
        ("search", "Payments shown"),
    ):
        assert await page.get_by_role(role, name=name, exact=True).count() == 1, name  # type: ignore[arg-type]
    assert await page.get_by_role("main").count() == 1
    assert await page.locator("#announce").get_attribute("aria-live") == "polite"
    assert await page.locator("#announce").inner_text() != ""
    assert "points" in str(await page.locator("#chart svg").get_attribute("aria-label"))
    unnamed = await page.evaluate(
        "[...document.querySelectorAll('button, input, select')].filter(e => e.offsetParent &&"
        " !(e.textContent.trim() || e.labels?.length || e.ariaLabel)).map(e => e.outerHTML)"
    )
    assert unnamed == []
    button = page.locator("#rows button").first
    await button.focus()
    await page.keyboard.press("Enter")
    assert await page.get_by_role("dialog").is_visible()
    await page.keyboard.press("Escape")
    assert await button.evaluate("node => node === document.activeElement")


async def test_what_cannot_be_read_is_said_not_to_be_shown(
    browser: Tabs, served: RunningRelay, payments: Database
) -> None:
    """A payment that is withheld is no row, and a notice counts it; another one after it is shown."""
    user = await student(payments, "withheld@example.com")
    tab = await browser.tab(served.token())
    broken = await pay(payments, user, "NaN")
    notice = tab.page.locator('[data-notice="withheld"]')
    await eventually(notice.is_visible)
    assert "could not be shown" in await notice.inner_text()
    whole = await pay(payments, user, "12.00")
    await tab.shows(whole, "Pending")
    assert str(broken) not in [id for id, _ in await tab.payments()]
    await notice.get_by_role("button", name="Dismiss").click()
    await eventually(notice.is_hidden)
