"""PAY-005, the acceptance test for live payment dashboards: one test for each of its twelve steps.

All of it is real: Chromium, the site of examples/django with its checkout and webhook endpoint, relays as processes,
PostgreSQL. Each test leaves the step's picture in build/pay-005/, or where RELAY_TEST_PICTURES says. Steps 7 to 9 are
in test_pay_005_stress.py, steps 10 to 12 in test_pay_005_reach.py.
"""

from __future__ import annotations

import json
from typing import Any

import fastjsonschema
import pytest
from playwright.async_api import expect

from tests.support.acceptance import WITHIN, Stage, picture
from tests.support.proxy import TcpProxy
from tests.support.waiting import eventually

#: Starting everything counts for the first test.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]


async def test_01_the_websocket_connects(stage: Stage) -> None:
    """Whoever signs in and opens the dashboard gets one WebSocket: 101, `relay.v1`, no token in its address, live."""
    async with stage.person(cookies={}) as person:
        await person.sign_in("admin@example.org")
        token = await person.token()
        tab = await person.open(token=token)
        (socket,) = tab.sockets
        assert (socket.status, socket.chosen, socket.open) == (101, "relay.v1", True)
        assert socket.url == stage.site.relay_url
        assert socket.offered.replace(" ", "") == f"relay.v1,bearer.{token}"
        assert token not in tab.page.url
        (welcome,) = tab.told("welcome")
        (admin,) = await stage.one("SELECT id FROM accounts_customuser WHERE is_superuser")
        assert (welcome["protocol"], welcome["subject"]) == (1, str(admin))
        assert {"transactions", "webhooks", "fraud_alerts", "metrics"} <= set(welcome["channels"])
        await expect(tab.page.locator("#state-label")).to_have_text("Live")
        await expect(tab.page.locator("#as-of")).to_contain_text("Complete up to")
        await picture(tab, "01-websocket-connection")


async def test_02_metrics_update_by_themselves(stage: Stage) -> None:
    """Purchases at the Django site move count, success rate and revenue to what SQL says, without a reload."""
    async with stage.dashboard() as tab:
        before = await stage.tiles_right(tab)
        bought = stage.pay("package-10")
        after = await stage.tiles_right(tab)
        assert (after[0] - before[0], float(after[2] - before[2])) == (1, 149.0)
        stage.hear(stage.buy(), "payment_intent.payment_failed")
        assert (await stage.tiles_right(tab))[1] < after[1]
        await tab.shows(bought["id"], "Succeeded")
        assert tab.told("metrics_update", channel="metrics")
        assert await tab.stayed()
        await picture(tab, "02-metrics-realtime-updates")


async def test_03_the_list_updates_by_itself(stage: Stage) -> None:
    """New payments and new states arrive where filter and sort place them; both persist, and nothing is reloaded."""
    async with stage.dashboard() as tab:
        await tab.page.locator('th[data-column="amount"] button').click()
        chip = tab.page.locator('#statuses [data-status="pending"]')
        await chip.click()
        pending = ("payment_status = 'pending'", "amount DESC, created_at DESC")
        await stage.list_right(tab, *pending)
        new = [stage.buy(plan)["id"] for plan in ("trial", "package-10", "monthly")]
        assert set(new) <= set(await stage.list_right(tab, *pending))
        paid = stage.buy("package-10")
        await tab.shows(paid["id"], "Pending")
        stage.hear(paid, "payment_intent.succeeded")
        assert paid["id"] not in await stage.list_right(tab, *pending)
        assert await tab.fragment() == "status=pending&sort=-amount"
        await expect(tab.page.locator('th[data-column="amount"]')).to_have_attribute(
            "aria-sort", "descending"
        )
        await expect(chip).to_have_attribute("aria-pressed", "true")
        await picture(tab, "03-transaction-list-updates")
        await chip.click()
        await tab.shows(paid["id"], "Succeeded")
        assert await tab.stayed()


async def test_04_every_message_is_as_published(stage: Stage) -> None:
    """Whatever happens to payments, each frame is JSON text that `relay schema` describes, whole and typed."""
    published = json.loads(stage.site.relay("schema").stdout)
    schema, whole_row = (
        fastjsonschema.compile(published),
        set(published["$defs"]["TransactionsRow"]["properties"]),
    )
    async with stage.dashboard() as tab:
        bought = stage.pay()
        assert stage.admin.post(f"/api/finances/purchases/{bought['id']}/refund/", body=b"").status == 200
        stage.hear(stage.buy(), "payment_intent.payment_failed")
        opened: dict[str, Any] = {"id": f"dp_{bought['id']}", "status": "needs_response"}
        opened |= {"currency": "eur", "reason": "fraudulent"}
        stage.hear(stage.pay(), "charge.dispute.created", **opened)
        stage.hear(
            stage.pay(), "radar.early_fraud_warning.created", id="issfr_pay_005", fraud_type="stolen_card"
        )
        await tab.shows(bought["id"], "Refunded")
        expected = {"transaction_update", "webhook_event", "dispute_update", "fraud_alert", "webhook_status"}
        expected |= {"metrics_update", "welcome", "subscribed", "snapshot", "checkpoint"}
        await eventually(lambda: expected <= {frame["type"] for frame in tab.told()}, within=WITHIN)
        frames = tab.told()
        for frame in frames:
            schema(frame)
        history = [
            frame["data"]
            for frame in tab.told("transaction_update")
            if frame["data"]["transaction"]["id"] == str(bought["id"])
        ]
        assert [(data["action"], data.get("previous_status")) for data in history] == [
            ("created", None),
            ("status_changed", "pending"),
            ("status_changed", "succeeded"),
        ]
        assert [set(data["transaction"]) for data in history] == [whole_row] * 3
        assert {"id", "amount", "currency", "status", "customer_email", "payment_intent_id"} <= whole_row
        assert history[0]["transaction"]["amount"] == bought["amount"]
        # The schema has teeth: nothing that is required may be missing, nothing may be of another type.
        whole = tab.told("transaction_update")[0]
        for broken in (
            {**whole, "id": 7},
            {key: value for key, value in whole.items() if key != "timestamp"},
        ):
            with pytest.raises(fastjsonschema.JsonSchemaException):
                schema(broken)
        await picture(tab, "04-websocket-message-format")


async def test_05_the_websocket_comes_back(stage: Stage) -> None:
    """Cut again and again, the page says it is stale, connects by itself, shows what it missed, and goes on."""
    async with (
        stage.relay.running(),
        TcpProxy("127.0.0.1", stage.relay.port) as network,
        stage.person() as administrator,
    ):
        tab = await administrator.blank()
        # Long polling would step in for a while, and this is about the WebSocket.
        await tab.page.route("**/api/events**", lambda route: route.abort())
        base = f"https://127.0.0.1:{network.port}"
        await tab.open(base, await administrator.token())
        await tab.becomes("live", within=WITHIN)
        await tab.stay()
        for laptop in (False, True, True):
            await network.cut()
            # A laptop's browser knows that it is offline; behind a router that fails nobody tells.
            await administrator.context.set_offline(laptop)
            await tab.becomes("stale", within=WITHIN)
            await expect(tab.page.locator("#state-label")).to_contain_text("Stale since")
            if not laptop:
                await picture(tab, "05-websocket-reconnection")
            missed = stage.pay()
            await network.restore()
            await administrator.context.set_offline(False)
            await tab.becomes("live", within=WITHIN)
            await tab.shows(missed["id"], "Succeeded")
            live = stage.buy()
            await tab.shows(live["id"], "Pending")
        opened = [socket for socket in tab.sockets if socket.status == 101]
        assert len(opened) >= 4
        assert [socket.open for socket in opened] == [False] * (len(opened) - 1) + [True]
        answers = [each for frame in tab.told("subscribed")[1:] for each in frame["channels"].values()]
        assert any(answer["resumed"] and answer["replayed"] for answer in answers)
        await stage.list_right(tab)
        assert await tab.stayed()


async def test_06_tabs_stay_in_step(stage: Stage) -> None:
    """Two tabs, each with its own WebSocket, show the same at every turn; one goes on when the other is closed."""
    async with stage.person() as administrator:
        first, second = await administrator.open(), await administrator.open()
        bought = stage.buy()
        for event, shown in (
            ("payment_intent.processing", "Processing"),
            ("payment_intent.succeeded", "Succeeded"),
        ):
            stage.hear(bought, event)
            for tab in (first, second):
                await tab.shows(bought["id"], shown)
        for tab in (first, second):
            await stage.list_right(tab)
            await stage.tiles_right(tab)
        assert await first.payments() == await second.payments()
        assert [len(tab.sockets) for tab in (first, second)] == [1, 1]
        ((one,), (other,)) = (tab.told("welcome") for tab in (first, second))
        assert one["connection"] != other["connection"]
        await picture(second, "06-multi-tab-sync")
        await first.page.close()
        later = stage.pay()
        await second.shows(later["id"], "Succeeded")
        assert second.sockets[0].open
