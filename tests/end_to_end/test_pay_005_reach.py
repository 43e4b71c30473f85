"""PAY-005, steps 10 to 12: platforms, subscriptions, and what webhooks do. See test_pay_005.py."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.support.acceptance import WITHIN, Stage, picture, row_of
from tests.support.waiting import eventually

#: Starting everything counts for the first test.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
    "user_agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/130.0.0.0 Mobile Safari/537.36",
}


async def test_10_platforms_show_the_same(stage: Stage) -> None:
    """Desktop, phone and a browser without WebSocket, which polls, show each payment alike.

    Firefox and WebKit are in test_other_browsers.py, React Native in tests/client/.
    """
    async with stage.dashboard() as desktop, stage.dashboard(**PHONE) as phone, stage.person() as person:
        old = await person.blank()
        await old.page.add_init_script("delete globalThis.WebSocket")
        await old.open(stage.site.relay_base, await person.token())
        await old.becomes("live", within=WITHIN)
        await expect(old.page.locator("#state-detail")).to_have_text("by long polling")
        bought = stage.pay()
        shown = []
        for tab in (desktop, phone, old):
            await tab.shows(bought["id"], "Succeeded")
            await stage.tiles_right(tab)
            shown.append((await tab.payments())[:10])
        assert shown[0] == shown[1] == shown[2]
        assert [[socket.status for socket in tab.sockets] for tab in (desktop, phone, old)] == [
            [101],
            [101],
            [],
        ]
        assert await phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await picture(phone, "10-cross-platform-websocket")
        await phone.page.locator(f'#rows tr[data-id="{bought["id"]}"]').tap()
        await expect(phone.page.locator("#detail .timeline")).to_contain_text("Succeeded")


async def test_11_only_what_is_subscribed_is_sent(stage: Stage) -> None:
    """With the public client each channel and filter brings its own messages and no other; so does a narrower role."""
    async with stage.person() as administrator:
        tab = await administrator.blank()
        await tab.page.goto(stage.site.relay_base)
        token = await administrator.token()
        await tab.page.evaluate(
            """async (token) => {
                const { connect } = await import("/client/index.js");
                const client = connect({ token });
                let subscription;
                window.watch = (channel, filter) => {
                    subscription?.unsubscribe();
                    subscription = client.subscribe(channel, { filter }, {});
                };
            }""",
            token,
        )

        async def sent(channel: str, filter: dict[str, object] | None = None) -> list[tuple[str, str]]:
            await tab.page.evaluate("([channel, filter]) => watch(channel, filter)", [channel, filter or {}])
            await eventually(
                lambda: channel in [n for f in tab.told("subscribed")[-1:] for n in f["channels"]]
            )
            seen = len(tab.told())
            stage.everything_happens()
            await tab.caught_up()
            rows = [frame for frame in tab.told()[seen:] if "data" in frame]
            return [(frame["channel"], row_of(frame)["status"]) for frame in rows]

        payments = await sent("transactions")
        assert {channel for channel, _ in payments} == {"transactions"}
        assert {status for _, status in payments} == {"pending", "succeeded", "failed"}
        assert set(await sent("webhooks", {"status": "failed"})) == {("webhooks", "failed")}
        assert set(await sent("fraud_alerts")) == {("fraud_alerts", "active")}
        ended = [name for frame in tab.told("unsubscribed") for name in frame["channels"]]
        assert ended == ["transactions", "webhooks"]

    async with stage.person(cookies={}) as owner:
        await owner.sign_in("owner@example.org")
        tab = await owner.open()
        theirs = stage.buy_as("stranger@example.org")
        stage.everything_happens()
        ours = stage.buy()
        await tab.shows(ours["id"], "Pending")
        told = {frame["channel"] for frame in tab.told() if "data" in frame or "rows" in frame}
        assert told <= {"transactions", "disputes"}
        everything = "".join(text for socket in tab.sockets for text in socket.received)
        assert "Sam Student" in everything
        for hidden in (
            "student@example.org",
            "Stella",
            theirs["payment_intent_id"],
            ours["payment_intent_id"],
        ):
            assert hidden not in everything
        for part in ("#fraud", "#webhooks", "#metrics"):
            await expect(tab.page.locator(part)).to_be_hidden()
        await picture(tab, "11-websocket-filtering")


async def test_12_webhooks_are_seen_as_they_are_processed(stage: Stage) -> None:
    """Success, failure, retry and refund show as webhook rows and payment states, in order and as in the database."""
    async with stage.dashboard() as tab:
        paid, failed, retried = stage.buy(), stage.buy(), stage.buy("trial")
        first = stage.hear(paid, "payment_intent.succeeded")
        stage.hear(
            failed, "payment_intent.payment_failed", last_payment_error={"message": "Insufficient funds."}
        )
        other = await stage.rows.connect(autocommit=False)
        await other.execute(
            "SELECT FROM finances_purchasetransaction WHERE id = %s FOR UPDATE", [retried["id"]]
        )
        again = stage.hear(retried, "payment_intent.succeeded", answer=503)
        await stage.webhooks_right(tab, "Retrying", "Succeeded", "Succeeded")
        await tab.shows(retried["id"], "Pending")
        await other.rollback()
        assert stage.stripe.deliver(again).status == 200
        stage.hear(paid, "charge.refunded", amount_refunded=5990)
        stage.hear(stage.buy(), "payment_intent.succeeded", amount_received=1)
        await stage.webhooks_right(tab, "Failed", "Succeeded", "Succeeded", "Succeeded", "Succeeded")
        await expect(tab.page.locator("#webhooks .events li").first).to_contain_text("Stripe received 0.01")
        for bought, shown in ((paid, "Refunded"), (failed, "Failed"), (retried, "Succeeded")):
            await tab.shows(bought["id"], shown)
        await stage.list_right(tab)
        await stage.tiles_right(tab)

        def states(channel: str, key: str, wanted: object) -> list[str]:
            frames = [frame for frame in tab.told(channel=channel) if "data" in frame]
            return [row["status"] for row in map(row_of, frames) if row[key] == wanted]

        assert states("transactions", "id", str(paid["id"])) == ["pending", "succeeded", "refunded"]
        assert states("transactions", "id", str(failed["id"])) == ["pending", "failed"]
        assert states("transactions", "id", str(retried["id"])) == ["pending", "succeeded"]
        assert states("webhooks", "event_id", first["id"]) == ["pending", "succeeded"]
        assert [s for s in states("webhooks", "event_id", again["id"]) if s != "pending"] == [
            "retrying",
            "succeeded",
        ]
        await picture(tab, "12-webhook-websocket-integration")
