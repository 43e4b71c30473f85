"""examples/django beside a relay: HTTP requests in, WebSocket messages out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.browser import Browser
from tests.support.client import connected
from tests.support.dashboard import Dashboard, told, watching
from tests.support.database import Database
from tests.support.django_site import Site, site_on
from tests.support.server import Server
from tests.support.stripe import Stripe

#: Starting everything counts for the first test.
pytestmark = pytest.mark.timeout(180)

ALL = ("transactions", "webhooks", "disputes", "fraud_alerts")


@pytest.fixture(scope="module")
def site(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example as its README sets it up: migrated by an owner who is no superuser, installed, served."""
    with site_on(postgres, tmp_path_factory.mktemp("site")) as site:
        site.manage("migrate", "--verbosity", "0")
        site.manage("sample_people")
        done = site.relay("install", "--apply")
        assert done.returncode == 0, done.stdout + done.stderr
        asyncio.run(site.start())
        yield site


@pytest.fixture(scope="module")
def administrator(site: Site) -> Browser:
    """Where the superuser has signed in."""
    return site.browser("admin@example.org")


@pytest.fixture(scope="module")
def student(site: Site) -> Browser:
    """Where a student of Riverside has signed in."""
    return site.browser("student@example.org")


@pytest.fixture
def stripe(site: Site) -> Stripe:
    """Stripe."""
    return site.stripe


@pytest.fixture
async def dashboard(administrator: Browser) -> AsyncIterator[Dashboard]:
    """The superuser's dashboard, with every channel."""
    async with watching(administrator, *ALL) as dashboard:
        yield dashboard


@pytest.fixture
async def rows(site: Site) -> AsyncIterator[Database]:
    """The site's database."""
    database = site.database()
    yield database
    await database.close()


def buy(browser: Browser, plan: str = "monthly") -> dict[str, Any]:
    """What the checkout answers for one purchase."""
    answer = browser.post("/api/finances/checkout/", {"plan": plan})
    assert answer.status == 201, answer.text
    bought: dict[str, Any] = answer.json
    return bought


async def paid(browser: Browser, stripe: Stripe, dashboard: Dashboard) -> dict[str, Any]:
    """A purchase that Stripe has confirmed and the dashboard has heard of."""
    bought = buy(browser)
    assert stripe.deliver(stripe.about(bought, "payment_intent.succeeded")).status == 200
    assert told(await dashboard.news("transaction_update")) == [
        ("created", "pending", None),
        ("status_changed", "succeeded", "pending"),
    ]
    return bought


def refund(browser: Browser, bought: dict[str, Any], **body: str) -> Any:
    """The answer to a refund of all, or of ``amount``."""
    path = f"/api/finances/purchases/{bought['id']}/refund/"
    return browser.post(path, body=json.dumps(body).encode() if body else b"")


async def test_a_checkout_is_one_new_payment_that_is_pending(student: Browser, dashboard: Dashboard) -> None:
    """INSERT and UPDATE in one transaction arrive as one message with the final row, and only listed fields of it."""
    bought = buy(student, "package-10")
    (frame,) = await dashboard.news("transaction_update")
    assert told([frame]) == [("created", "pending", None)]
    row = frame["data"]["transaction"]
    assert row.pop("created_at")
    assert row.pop("updated_at")
    assert row == {
        "id": str(bought["id"]),
        "payment_intent_id": bought["payment_intent_id"],
        "customer_email": "student@example.org",
        "customer_name": "Sam Student",
        "amount": "149.00",
        "currency": "eur",
        "status": "pending",
        "transaction_type": "package",
        "expires_at": None,
        "metadata": {"plan_name": "Ten lessons"},
    }


async def test_a_request_that_is_rolled_back_is_never_heard_of(
    student: Browser, dashboard: Dashboard, rows: Database
) -> None:
    """A declined card rolls back the purchase that was inserted already: no row, no event, no message."""
    count = "SELECT count(*) FROM finances_purchasetransaction"
    before = await rows.execute(count)
    answer = student.post(
        "/api/finances/checkout/", {"plan": "trial", "payment_method": "pm_card_chargeDeclined"}
    )
    assert (answer.status, answer.json) == (402, {"error": "Your card was declined."})
    assert await rows.execute(count) == before
    assert await dashboard.news("transaction_update", "withheld", "resync") == []


async def test_a_webhook_completes_the_payment_once(
    student: Browser, stripe: Stripe, dashboard: Dashboard
) -> None:
    """The payment and the log of the event change together; the same event again changes nothing."""
    event = stripe.about(buy(student), "payment_intent.succeeded")
    assert told(await dashboard.news("transaction_update")) == [("created", "pending", None)]
    assert stripe.deliver(event).json == {"status": "processed"}
    frames = await dashboard.news("transaction_update", "webhook_event")
    webhooks = [frame for frame in frames if frame["channel"] == "webhooks"]
    assert told(webhooks) == [("created", "pending", None), ("status_changed", "succeeded", "pending")]
    assert webhooks[-1]["data"]["event"]["event_id"] == event["id"]
    assert "payload" not in webhooks[-1]["data"]["event"]
    payments = [frame for frame in frames if frame["channel"] == "transactions"]
    assert told(payments) == [("status_changed", "succeeded", "pending")]
    assert stripe.deliver(event).json == {"status": "processed"}
    assert await dashboard.news("transaction_update", "webhook_event") == []


@pytest.mark.parametrize(
    ("type", "object", "status", "metadata"),
    [
        (
            "payment_intent.payment_failed",
            {"last_payment_error": {"message": "Your card has insufficient funds."}},
            "failed",
            {"plan_name": "One month", "error_message": "Your card has insufficient funds."},
        ),
        ("payment_intent.canceled", {}, "canceled", {"plan_name": "One month"}),
        ("payment_intent.processing", {}, "processing", {"plan_name": "One month"}),
    ],
)
async def test_a_payment_that_does_not_succeed_says_why(
    student: Browser, stripe: Stripe, dashboard: Dashboard,
    type: str, object: dict[str, Any], status: str, metadata: dict[str, str],
) -> None:  # fmt: skip
    """Failure, cancellation and waiting change the status, and the reason arrives with it."""
    bought = buy(student)
    assert stripe.deliver(stripe.about(bought, type, **object)).status == 200
    *_, last = await dashboard.news("transaction_update")
    assert told([last]) == [("status_changed", status, "pending")]
    assert last["data"]["transaction"]["metadata"] == metadata


async def test_an_event_that_cannot_be_applied_fails_and_leaves_the_payment_alone(
    student: Browser, stripe: Stripe, dashboard: Dashboard
) -> None:
    """A wrong amount is an event that failed, with its reason, and no change of the payment."""
    bought = buy(student)
    await dashboard.news()
    event = stripe.about(bought, "payment_intent.succeeded", amount_received=1)
    assert stripe.deliver(event).json == {"status": "failed"}
    frames = await dashboard.news("transaction_update", "webhook_event")
    assert told(frames) == [("created", "pending", None), ("status_changed", "failed", "pending")]
    shown = frames[-1]["data"]["event"]
    assert (shown["attempts"], shown["error_message"]) == (1, "Stripe received 0.01 for a purchase of 59.90")


async def test_a_failed_attempt_is_rolled_back_and_the_next_one_succeeds(
    student: Browser, stripe: Stripe, dashboard: Dashboard, rows: Database
) -> None:
    """While the payment is locked the event is retrying and the payment untouched; delivered again, both succeed."""
    bought = buy(student)
    event = stripe.about(bought, "payment_intent.succeeded")
    other = await rows.connect(autocommit=False)
    await other.execute("SELECT FROM finances_purchasetransaction WHERE id = %s FOR UPDATE", [bought["id"]])
    await dashboard.news()
    answer = await asyncio.to_thread(stripe.deliver, event)
    assert (answer.status, answer.json) == (503, {"status": "retrying"})
    frames = await dashboard.news("transaction_update", "webhook_event")
    assert told(frames) == [("created", "pending", None), ("status_changed", "retrying", "pending")]
    shown = frames[-1]["data"]["event"]
    assert (shown["attempts"], shown["error_message"]) == (1, "OperationalError")
    await other.rollback()
    assert stripe.deliver(event).json == {"status": "processed"}
    frames = await dashboard.news("transaction_update", "webhook_event")
    assert ("status_changed", "succeeded", "pending") in told(frames[:-1])
    assert told(frames[-1:]) == [("status_changed", "succeeded", "pending")]
    assert frames[-1]["data"]["event"]["attempts"] == 1


async def test_an_event_nobody_can_place_is_given_up_in_the_end(stripe: Stripe, dashboard: Dashboard) -> None:
    """For an unknown payment intent Stripe is asked to come again, and after five attempts no more."""
    event = stripe.event("payment_intent.succeeded", id="pi_of_somebody_else", amount_received=100)
    assert [stripe.deliver(event).status for _ in range(5)] == [503, 503, 503, 503, 200]
    *_, last = await dashboard.news("webhook_event")
    shown = last["data"]["event"]
    assert (shown["status"], shown["attempts"]) == ("failed", 5)
    assert shown["error_message"] == "no purchase has this payment intent yet"


async def test_only_stripe_is_believed(
    student: Browser, stripe: Stripe, dashboard: Dashboard, rows: Database
) -> None:
    """Without a fresh signature over this very body nothing is written; while secrets rotate one of two is enough."""
    body = json.dumps(stripe.about(buy(student), "payment_intent.succeeded")).encode()
    await dashboard.news()
    now = int(time.time())
    good = stripe.signature(body, now)
    count = "SELECT count(*) FROM finances_webhookeventlog"
    before = await rows.execute(count)
    for header in (
        None,
        "",
        good,
        f"v1={good}",
        f"t={now}",
        f"t={now},v0={good}",
        f"t={now},v1=é",
        f"t={now + 1},v1={good}",
        f"t={now},t={now - 1},v1={good}",
        f"t={now},v1={stripe.signature(body, now, 'whsec_another')}",
        f"t={now - 400},v1={stripe.signature(body, now - 400)}",
        f"t={now + 400},v1={stripe.signature(body, now + 400)}",
    ):
        assert stripe.post(body, header).status == 400, header
    assert stripe.post(body + b" ", f"t={now},v1={good}").status == 400
    assert stripe.post(b"[]", f"t={now},v1={stripe.signature(b'[]', now)}").json == {
        "error": "this is no event"
    }
    assert await rows.execute(count) == before
    assert await dashboard.news("transaction_update", "webhook_event") == []
    both = f"t={now},v1={stripe.signature(body, now, 'whsec_the_old_one')},v1={good}"
    assert stripe.post(body, both).json == {"status": "processed"}


async def test_a_full_refund_changes_the_status(
    student: Browser, administrator: Browser, stripe: Stripe, dashboard: Dashboard
) -> None:
    """All of it given back is `refunded`, and more cannot be given back; what is refused changes nothing."""
    bought = await paid(student, stripe, dashboard)
    assert refund(student, bought).status == 403
    assert refund(administrator, bought, amount="60.00").status == 409
    assert refund(administrator, bought, amount="NaN").status == 400
    assert refund(administrator, bought).json == {"payment_status": "refunded", "refunded_amount": "59.90"}
    assert refund(administrator, bought).status == 409
    (frame,) = await dashboard.news("transaction_update")
    assert told([frame]) == [("status_changed", "refunded", "succeeded")]


async def test_a_partial_refund_keeps_the_status(
    student: Browser, administrator: Browser, stripe: Stripe, dashboard: Dashboard
) -> None:
    """Part of it given back is `updated`; that Stripe reports it, too, changes nothing; the rest makes it refunded."""
    bought = await paid(student, stripe, dashboard)
    assert refund(administrator, bought, amount="9.90").status == 200
    (frame,) = await dashboard.news("transaction_update")
    assert told([frame]) == [("updated", "succeeded", None)]
    assert set(frame["data"]["changed"]) == {"metadata", "updated_at"}
    assert frame["data"]["transaction"]["metadata"] == {"plan_name": "One month", "refunded_amount": "9.90"}
    assert "re_" not in str(frame)  # the ids of refunds are in the column, and not among the listed keys
    assert stripe.deliver(stripe.about(bought, "charge.refunded", amount_refunded=990)).status == 200
    assert await dashboard.news("transaction_update") == []
    assert stripe.deliver(stripe.about(bought, "charge.refunded", amount_refunded=5990)).status == 200
    assert told(await dashboard.news("transaction_update")) == [("status_changed", "refunded", "succeeded")]


async def test_a_bulk_action_is_one_message_for_each_row(
    student: Browser, administrator: Browser, dashboard: Dashboard
) -> None:
    """queryset.update() in the admin calls no save() and sends no signal, and every row of it arrives."""
    bought = [buy(student)["id"] for _ in range(3)]
    await dashboard.news()
    page = "/admin/finances/purchasetransaction/"
    for action, status, previous in (
        ("mark_failed", "failed", "pending"),
        ("mark_refunded", "refunded", "failed"),
    ):
        answer = administrator.post(page, {"action": action, "_selected_action": bought})
        assert answer.status == 200
        frames = await dashboard.news("transaction_update")
        assert told(frames) == [("status_changed", status, previous)] * 3
        assert {int(frame["data"]["transaction"]["id"]) for frame in frames} == set(bought)
        assert [frame["data"]["changed"] for frame in frames] == [["status"]] * 3  # not even updated_at


async def test_disputes_and_fraud_warnings_arrive_with_their_payment(
    student: Browser, stripe: Stripe, dashboard: Dashboard
) -> None:
    """Each names the payment it is about, the alert through Django's many-to-many table."""
    bought = await paid(student, stripe, dashboard)
    dispute = {"id": f"dp_{bought['id']}", "currency": "eur", "reason": "fraudulent"}
    due = {"due_by": 1893456000}
    opened = stripe.about(
        bought, "charge.dispute.created", **dispute, status="needs_response", evidence_details=due
    )
    closed = stripe.about(bought, "charge.dispute.closed", **dispute, status="won", evidence_details=due)
    warning = stripe.about(bought, "radar.early_fraud_warning.created", id="issfr_1", fraud_type="lost_card")
    assert [stripe.deliver(event).status for event in (opened, closed, warning)] == [200, 200, 200]
    first, second, alert = await dashboard.news("dispute_update", "fraud_alert")
    assert told([first, second]) == [
        ("created", "needs_response", None),
        ("status_changed", "won", "needs_response"),
    ]
    assert first["data"]["dispute"]["evidence_due_by"].startswith("2030-01-01T00:00:00")
    for shown in (first["data"]["dispute"], alert["data"]["alert"]):
        assert shown["payment_intent_id"] == bought["payment_intent_id"]
        assert shown["customer_email"] == "student@example.org"
        assert shown["amount"] == bought["amount"]


async def test_the_command_of_the_readme_plays_stripe(
    site: Site, student: Browser, dashboard: Dashboard
) -> None:
    """`manage.py stripe_event` delivers a signed event about a purchase."""
    bought = buy(student)
    out = site.manage("stripe_event", "payment_intent.succeeded", str(bought["id"]), "--server", site.base)
    assert out == '200 {"status": "processed"}\n'
    assert told(await dashboard.news("transaction_update"))[-1] == ("status_changed", "succeeded", "pending")


@pytest.mark.parametrize(
    ("email", "status"),
    [
        (None, 401),
        ("student@example.org", 403),
        ("teacher@example.org", 403),
        ("owner@example.org", 200),
        ("admin@example.org", 200),
    ],
)
def test_only_those_who_may_see_payments_get_a_token(site: Site, email: str | None, status: int) -> None:
    """Nobody is 401, the wrong person 403; the page is for those who get a token, and nothing of it is cached."""
    browser = site.browser(email)
    answer = browser.get("/api/relay-token/")
    assert answer.status == status
    assert ("token" in answer.json) == (status == 200)
    page = browser.get("/live/")
    if status == 401:
        assert "/login/?next=/live/" in page.url
    else:
        assert page.status == status
        assert ("/api/relay-token/" in page.text) == (status == 200)


async def test_an_owner_sees_the_payments_of_the_own_school_only(site: Site, student: Browser) -> None:
    """The token says which schools: nothing of other students, no channel without a tenant, no whole address."""
    async with watching(site.browser("owner@example.org"), "transactions", "disputes", snapshot=500) as owner:
        (welcome,) = owner.client.of("welcome")
        assert set(welcome["channels"]) == {"transactions", "disputes"}
        mine, _ = buy(student), buy(site.browser("stranger@example.org"))
        (frame,) = await owner.news("transaction_update")
        row = frame["data"]["transaction"]
        assert row["id"] == str(mine["id"])
        assert row["customer_name"] == "Sam Student"
        for hidden in ("Stella", "stranger@", "student@", mine["payment_intent_id"]):
            assert hidden not in str(owner.client.frames)


async def test_the_admin_can_end_somebodys_live_access(
    site: Site, administrator: Browser, rows: Database
) -> None:
    """The action closes that person's connections with 4003 and voids the tokens they have."""
    browser = site.browser("owner@example.org")
    token = browser.get("/api/relay-token/").json["token"]
    ((user,),) = await rows.execute("SELECT id FROM accounts_customuser WHERE email = 'owner@example.org'")
    async with watching(browser, "transactions") as dashboard:
        answer = administrator.post(
            "/admin/accounts/customuser/", {"action": "end_live_access", "_selected_action": [user]}
        )
        assert answer.status == 200
        assert await dashboard.client.closed() == 4003
    with pytest.raises(InvalidStatus) as refused:
        async with connected(site.relay_url, token):
            pass
    assert refused.value.response.status_code == 403
