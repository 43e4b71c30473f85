"""Who gets a token from examples/django, and what the relay shows them for it."""

from __future__ import annotations

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.browser import Browser
from tests.support.client import connected
from tests.support.dashboard import watching
from tests.support.database import Database
from tests.support.django_site import Site
from tests.support.purchases import buy

#: Starting everything counts for the first test.
pytestmark = pytest.mark.timeout(180)


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
