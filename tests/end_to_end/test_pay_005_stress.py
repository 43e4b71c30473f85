"""PAY-005, steps 7 to 9: load, errors, and people who must not get in. See test_pay_005.py."""

from __future__ import annotations

import asyncio
from datetime import datetime

import jwt
import pytest
from playwright.async_api import Route, expect

from tests.support.acceptance import WITHIN, Person, Stage, picture, row_of
from tests.support.waiting import eventually

#: Starting everything counts for the first test.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

#: One round of load: this many payments, each in three commits.
CROWD = 400
#: A card number as Stripe's own tests use it, as a person would write it and as a machine would.
CARD = "4000 0566 5566 5556"

WATCH_LONG_TASKS = """
    window.blocked = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.blocked += entry.duration;
    }).observe({ type: "longtask" });
"""
KEEP_SOCKETS = """
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
        constructor(...all) { super(...all); window.sockets.push(this); }
    };
"""
HOLD_TIMERS = """
    window.held = null;
    const later = window.setTimeout;
    window.setTimeout = (run, delay) => later(() => (held ? held.push(run) : run()), delay);
"""
#: Opens a WebSocket as a stranger's script would, asks for payments at once, and tells what came of it.
KNOCK = """([url, protocols]) => new Promise((resolve) => {
    const socket = new WebSocket(url, protocols), told = [];
    socket.onopen = () => socket.send('{"type": "subscribe", "channels": ["transactions"], "snapshot": 10}');
    socket.onmessage = ({ data }) => {
        told.push(JSON.parse(data));
        if (told.at(-1).type !== "error") resolve(["let in", told]);
    };
    socket.onclose = ({ code }) => resolve([code, told.map(({ type, code }) => [type, code])]);
})"""


async def crowd(stage: Stage) -> list[int]:
    """Many payments at once: made, taken up and completed, in twelve commits."""
    everybody = []
    for _ in range(4):
        rows = await stage.rows.execute(
            "INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status, metadata,"
            " created_at, updated_at) SELECT id, 'package', 9.90, 'pending', '{}', now(), now()"
            " FROM accounts_customuser, generate_series(1, %s) WHERE email = 'student@example.org' RETURNING id",
            CROWD // 4,
        )
        ids = [id for (id,) in rows]
        for status in ("processing", "completed"):
            await stage.rows.execute(
                "UPDATE finances_purchasetransaction SET payment_status = %s, updated_at = now() WHERE id = ANY(%s)",
                status,
                ids,
            )
        everybody += ids
    return everybody


async def test_07_load_is_carried(stage: Stage) -> None:
    """Under load each row's states come in order, the page obeys clicks, and what it keeps is bounded."""
    async with stage.person() as administrator:
        tab = await administrator.blank()
        tools = await tab.page.context.new_cdp_session(tab.page)
        await tab.page.add_init_script(WATCH_LONG_TASKS)
        await tab.open(stage.site.relay_base, await administrator.token())
        await tab.becomes("live", within=WITHIN)

        async def nodes() -> int:
            await tools.send("HeapProfiler.collectGarbage")
            return int((await tools.send("Memory.getDOMCounters"))["nodes"])

        async def shown(ids: list[int]) -> None:
            await tab.shows(ids[-1], "Succeeded")
            await stage.list_right(tab)

        payments = await crowd(stage)
        await shown(payments)
        before = await nodes()

        pause, obeyed = tab.page.locator("#pause"), asyncio.Event()
        blocked, begun = await tab.page.evaluate("[window.blocked, performance.now()]")

        async def load() -> None:
            while not obeyed.is_set():
                payments.extend(await crowd(stage))

        async with asyncio.TaskGroup() as group:
            group.create_task(load())
            for pressed in ("true", "false"):
                await pause.click()
                await expect(pause).to_have_attribute("aria-pressed", pressed)
            obeyed.set()
        await shown(payments)
        await picture(tab, "07-websocket-performance")
        blocked, elapsed = await tab.page.evaluate(
            f"[window.blocked - {blocked}, performance.now() - {begun}]"
        )
        assert blocked < elapsed / 2
        assert await nodes() < before * 1.2

        states: dict[str, list[str]] = {}
        for frame in tab.told("transaction_update"):
            states.setdefault(row_of(frame)["id"], []).append(row_of(frame)["status"])
        assert [states[str(id)] for id in payments] == [["pending", "processing", "succeeded"]] * len(
            payments
        )
        assert [socket.open for socket in tab.sockets] == [True]
        assert tab.told("goodbye", "error", "resync") == []
        await stage.tiles_right(tab)


async def test_08_errors_are_told_and_overcome(stage: Stage) -> None:
    """Bad messages, a relay that goes away and a token that ends: each is said in words, and there is a way on."""
    async with stage.relay.running() as relay, stage.person() as administrator:
        tab = await administrator.blank()
        await tab.page.add_init_script(KEEP_SOCKETS + HOLD_TIMERS)
        await tab.open(relay.base, await administrator.token())
        await tab.becomes("live", within=WITHIN)

        for bad in ("{not json", "42", '{"type": "of another time"}'):
            await tab.page.evaluate(
                "data => sockets.at(-1).dispatchEvent(new MessageEvent('message', { data }))", bad
            )
        unmoved = stage.buy()
        await tab.shows(unmoved["id"], "Pending")
        assert [socket.open for socket in tab.sockets] == [True]

        await tab.page.evaluate("sockets.at(-1).send('{not json')")
        await expect(tab.page.locator("#notices")).to_contain_text("JSON")
        await eventually(lambda: len(tab.sockets) > 1 and tab.sockets[-1].status == 101, within=WITHIN)
        await tab.becomes("live", within=WITHIN)

        await relay.stop()
        await tab.becomes("stale", within=WITHIN)
        await expect(tab.page.locator("#state-label")).to_contain_text("Stale since")
        await expect(tab.page.locator("#state-detail")).not_to_be_empty()
        missed = stage.pay()
        # The page's timers wait: only the button can connect now, by WebSocket or by what steps in for it.
        await tab.page.evaluate("window.held = []")
        await relay.start()
        attempts = len(tab.sockets)
        polled: list[int] = []
        tab.page.on(
            "response", lambda answer: polled.append(answer.status) if "/api/events" in answer.url else None
        )
        await tab.page.locator("#reconnect").click()
        await eventually(
            lambda: 200 in polled or [s.status for s in tab.sockets[attempts:]] == [101], within=WITHIN
        )
        await tab.page.evaluate("() => { const runs = held; held = null; runs.forEach((run) => run()); }")
        await tab.becomes("live", within=WITHIN)
        await tab.shows(missed["id"], "Succeeded")

        brief = await administrator.blank()
        await brief.open(relay.base, await administrator.short(5))
        await brief.becomes("live", "signed-out", within=WITHIN)
        await brief.stay()
        await brief.becomes("signed-out", within=WITHIN)
        await expect(brief.page.locator("#state-label")).to_have_text("Signed out")
        await expect(brief.page.locator("#sign-in-why")).to_contain_text("Your token has expired")
        await picture(brief, "08-error-handling")
        meanwhile = stage.pay()
        await brief.page.get_by_label("Token").fill(await administrator.token())
        await brief.page.get_by_role("button", name="Connect").click()
        await brief.becomes("live", within=WITHIN)
        await brief.shows(meanwhile["id"], "Succeeded")
        assert await brief.stayed()


async def test_09_only_administrators_get_in(stage: Stage) -> None:
    """Without a good token there is only the reason; with one it renews itself, over TLS, and no secret is sent."""
    async with stage.relay.running(RELAY_DASHBOARD__TOKEN_URL="/api/relay-token/") as relay:
        async with stage.person() as administrator:
            good = await administrator.token()
            forged = await administrator.altered(
                secret="another secret, and long enough for HS256 to like it"
            )
            nobody_special = await administrator.altered(is_superuser=False, sub="77")
            claims = jwt.decode(good, options={"verify_signature": False})
            unsigned = jwt.encode(claims, "", algorithm="none")
        async with stage.person(cookies={}) as stranger:
            await beside(stranger, stage)
            tab = await stranger.blank()
            await tab.open(relay.base)
            await expect(tab.page.locator("#sign-in-title")).to_be_visible()
            assert tab.sockets == []
            for token, code, close in (
                ("", "token_missing", 4001),
                (forged, "token_invalid", 4001),
                (unsigned, "token_invalid", 4001),
                (nobody_special, "forbidden", 4003),
            ):
                offered = ["relay.v1", *([f"bearer.{token}"] if token else [])]
                assert await tab.page.evaluate(KNOCK, [relay.url, offered]) == [close, [["error", code]]], (
                    code
                )
            await tab.page.get_by_label("Token").fill(forged)
            await tab.page.get_by_role("button", name="Connect").click()
            await expect(tab.page.locator("#sign-in-why")).to_contain_text("does not accept this token")
            await expect(tab.page.locator("#main")).to_be_hidden()
            await picture(tab, "09-websocket-security")
            assert not tab.told("snapshot", "transaction_update", "welcome")
            await stranger.sign_in("student@example.org")
            refused = await stranger.context.request.get(f"{stage.site.base}/api/relay-token/")
            assert refused.status == 403

        async with stage.person() as administrator:
            await beside(administrator, stage, first=8)
            tab = await administrator.blank()
            await tab.open(relay.base)
            await tab.becomes("live", within=WITHIN)
            stage.hear(
                stage.buy(),
                "payment_intent.payment_failed",
                last_payment_error={
                    "message": f"Card {CARD} was declined.",
                    "payment_method": {"card": {"number": CARD.replace(" ", "")}},
                },
            )
            await expect(tab.page.locator("#rows tr").first).to_contain_text("Card [removed] was declined.")
            await eventually(lambda: len(tab.told("welcome")) == 2, within=WITHIN)
            ends, later = (datetime.fromisoformat(welcome["expires_at"]) for welcome in tab.told("welcome"))
            assert (later - ends).total_seconds() > 300
            stage.buy()
            await stage.list_right(tab)
            (socket,) = tab.sockets
            assert (socket.open, socket.status, socket.url) == (True, 101, relay.url)
            assert socket.url.startswith("wss://")
            assert [frame["type"] for frame in tab.told("token_expiring")] == ["token_expiring"]
            everything = "".join(socket.received)
            assert "[removed]" in everything
            for hidden in (CARD, CARD.replace(" ", ""), "password", "client_secret"):
                assert hidden not in everything


async def beside(person: Person, stage: Stage, first: int | None = None) -> None:
    """Put the site's tokens on the relay's host, as a proxy before both does; the ``first`` lives so many seconds."""
    lives = [first] if first else []

    async def token(route: Route) -> None:
        if lives:
            return await route.fulfill(json={"token": await person.short(lives.pop())})
        return await route.fulfill(response=await route.fetch(url=f"{stage.site.base}/api/relay-token/"))

    await person.context.route("**/api/relay-token/", token)
