"""Rows that are not as they should be, and what a subscriber sees of each: one bad thing stays one bad thing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from relay.config import PolicySettings
from tests.support.client import Client, connected
from tests.support.database import Database
from tests.support.payments import move, pay, student
from tests.support.relay import ADMIN, OWNER, running_relay, settings_for

#: The tables as somebody might have them who did not care: nothing is NOT NULL, and numbers have no bounds.
CARELESS = """
ALTER TABLE finances_purchasetransaction ALTER metadata DROP NOT NULL, ALTER amount DROP NOT NULL,
  ALTER payment_status DROP NOT NULL, ALTER created_at DROP NOT NULL, ALTER amount TYPE numeric;
ALTER TABLE finances_fraudalert ALTER risk_score TYPE numeric, ALTER detection_data DROP NOT NULL"""


@asynccontextmanager
async def two_clients(database: Database) -> AsyncIterator[tuple[Client, Client]]:
    """Of one relay an administrator and the owner of school 1, both subscribed to payments."""
    async with (
        running_relay(settings_for(database.daemon_dsn)) as running,
        connected(running.url, running.token()) as admin,
        connected(running.url, running.token(OWNER, subject="owner")) as owner,
    ):
        for client in (admin, owner):
            await client.send("subscribe", channels=["transactions"])
            await client.take("checkpoint")
        yield admin, owner


async def change(database: Database, payment: int, column: str, value: Any) -> None:
    """Set one column; ``value`` as SQL."""
    await database.execute(
        f"UPDATE finances_purchasetransaction SET {column} = {value} WHERE id = %s", payment
    )


BAD = [
    ("metadata", """'["student"]'"""),
    ("metadata", """'"plan"'"""),
    ("metadata", "'17'"),
    ("metadata", "'true'"),
    ("metadata", """'{"error_message": {"code": 1}}', payment_status = 'failed'"""),
    ("amount", "NULL"),
    ("amount", "'NaN'"),
    ("amount", "'Infinity'"),
    ("payment_status", "NULL"),
    ("created_at", "NULL"),
    ("created_at", "'infinity'"),
]


async def test_a_row_that_cannot_be_right_is_withheld(database: Database) -> None:
    """JSON of another shape, NULL where the type says never, no finite number or time: an administrator is told
    ``withheld``, a school's owner that the row ``left``; nobody is shown any of it. Other rows flow, and the row is
    back with the change that puts it right."""
    await database.execute(CARELESS)
    user = await student(database, school=1)
    good = await pay(database, user, "20.00")
    async with two_clients(database) as (admin, owner):
        for column, value in BAD:
            case = f"{column} = {value}"
            bad = await pay(database, user, "10.00")
            for client in (admin, owner):
                await client.take("transaction_update", where=_about(bad))
            ((before,),) = await database.execute(
                f"SELECT {column}::text FROM finances_purchasetransaction WHERE id = %s", bad
            )
            await change(database, bad, column, value)
            await change(database, good, "amount", "amount + 1")
            told = await admin.take("withheld", "transaction_update")
            assert set(told) == {"type", "channel", "id"}, case
            assert _about(good)(await admin.take("transaction_update")), case
            left = await owner.take("transaction_update", "withheld")
            assert (left["membership"], left["data"]["transaction"]) == ("left", {"id": str(bad)}), case
            assert _about(good)(await owner.take("transaction_update")), case
            await change(database, bad, column, f"'{before}'")
            await move(database, bad, "refunded")
            for client in (admin, owner):
                again = await client.take("transaction_update", where=_about(bad))
                assert again["data"]["transaction"]["amount"] == "10.00", case
                await client.take("transaction_update", where=lambda f: "refunded" in str(f["data"]))
                assert client.of("error", "resync", "goodbye") == []


def _about(payment: int) -> Callable[[dict[str, Any]], bool]:
    return lambda frame: frame["data"]["transaction"]["id"] == str(payment)


ODD: list[tuple[str, str, str, Any]] = [
    ("metadata", "NULL", "metadata", {}),
    ("metadata", "'null'", "metadata", {}),
    ("metadata", """'{"plan_name": 7, "other": 1}'""", "metadata", {"plan_name": 7}),
    ("metadata", """'{"plan_name": ["a", {"b": null}]}'""", "metadata", {"plan_name": ["a", {"b": None}]}),
    ("stripe_payment_intent_id", "NULL", "payment_intent_id", ""),
    ("amount", "99999999999999999999.999999999", "amount", "99999999999999999999.999999999"),
    ("amount", "1e40", "amount", "1" + "0" * 40),
    ("amount", "-0.005", "amount", "-0.005"),
    ("payment_status", "'on_hold'", "status", "on_hold"),
    ("payment_status", "'on_hold'", "status_display", "on_hold"),
    ("payment_status", "''", "status", ""),
]


async def test_what_is_odd_and_can_be_shown_is_shown(database: Database) -> None:
    """No metadata is an empty object, no intent an empty text. An amount of any size keeps its digits, as a string. A
    status that nobody has heard of is shown as it is stored. None of them is withheld."""
    await database.execute(CARELESS)
    user = await student(database, school=1)
    async with (
        running_relay(settings_for(database.daemon_dsn)) as running,
        connected(running.url, running.token()) as admin,
    ):
        await admin.send("subscribe", channels=["transactions"])
        await admin.take("checkpoint")
        for column, value, field, shown in ODD:
            payment = await pay(database, user)
            await admin.take("transaction_update", where=_about(payment))
            await change(database, payment, column, f"{value}, transaction_type = 'subscription'")
            told = await admin.take("transaction_update", "withheld")
            assert told["data"]["transaction"][field] == shown, (column, value)
            if column == "payment_status":
                assert (told["data"]["action"], told["data"]["previous_status"]) == (
                    "status_changed",
                    "pending",
                )


SCORES = {"100.01": "100.01", "-3": "-3", "1e300": "1" + "0" * 300, "1e400": None}


async def test_a_number_that_no_client_can_hold_is_withheld(database: Database) -> None:
    """A risk score beyond its scale is shown, for it is what is stored; beyond what JavaScript can hold the alert is
    withheld, for it would be read as infinite."""
    await database.execute(CARELESS)
    async with (
        running_relay(settings_for(database.daemon_dsn)) as running,
        connected(running.url, running.token()) as admin,
    ):
        await admin.send("subscribe", channels=["fraud_alerts"])
        await admin.take("checkpoint")
        for score, shown in SCORES.items():
            await database.execute(
                "INSERT INTO finances_fraudalert (alert_id, severity, status, alert_type, description, detection_data,"
                f" risk_score, resolution_notes, actions_taken, created_at, updated_at) VALUES ('{score}', 'x', 'odd',"
                f" '', '', NULL, {score}, '', '[]', now(), now())"
            )
            told = await admin.take("fraud_alert", "withheld")
            assert told["type"] == ("withheld" if shown is None else "fraud_alert")
            if shown is not None:
                row = told["data"]["alert"]
                assert (str(row["risk_score"]), row["metadata"], row["status"]) == (shown, {}, "odd")


TEXTS = {
    "paid with 4242 4242 4242 4242 today": "paid with [removed] today",
    "paid with 4242-4242-4242-4242": "paid with [removed]",
    "4242424242424242": "[removed]",
    "order 4242424242424243": "order 4242424242424243",
    "order 1234567812345670": "order 1234567812345670",
    "ref 42424242424242424242 and more": "ref 42424242424242424242 and more",
}


async def test_sixteen_digits_in_free_text_are_a_card_only_if_they_are_one(database: Database) -> None:
    """A card number, however it is written, is ``[removed]`` from the text and the event still goes, for everybody;
    sixteen digits that no issuer gives out, or whose check digit is wrong, or that are part of more, stay."""
    payment = await pay(database, await student(database, school=1), status="failed")
    async with two_clients(database) as (admin, owner):
        for number, (text, shown) in enumerate(TEXTS.items()):
            await database.execute(
                "UPDATE finances_purchasetransaction SET metadata = jsonb_build_object('error_message', %s::text,"
                " 'plan_name', %s::text), amount = %s WHERE id = %s",
                text,
                text,
                number,
                payment,
            )
            told = await admin.take("transaction_update", "withheld")
            assert told["data"]["transaction"]["failure_reason"] == shown
            assert told["data"]["transaction"]["metadata"] == {"plan_name": shown}
            told = await owner.take("transaction_update", "withheld")
            assert told["data"]["transaction"]["failure_reason"] == shown


@pytest.mark.parametrize(
    "policies",
    [
        [],
        [{"name": "nobody", "when": {"no_such_claim": True}, "channels": ["*"]}],
        [
            {
                "name": "scoped",
                "when": {},
                "channels": ["transactions"],
                "where": {"school_ids": {"overlaps": "$claims.no_such_claim"}},
            }
        ],
    ],
)
async def test_policies_that_grant_nothing_let_nobody_in(
    database: Database, policies: list[dict[str, Any]]
) -> None:
    """Without a policy, with none that matches, and with one whose claim nobody has, every token is refused with 403
    before the upgrade, on every path; a page in a browser is told ``forbidden`` and closed with 4003."""
    settings = settings_for(database.daemon_dsn).model_copy(
        update={"policies": tuple(map(PolicySettings.model_validate, policies))}
    )
    async with running_relay(settings) as running:
        async with connected(running.url, running.token(), origin=running.http) as page:
            assert await page.closed() == 4003
            assert [frame["code"] for frame in page.frames] == ["forbidden"]
        base = running.url.removesuffix("/ws/payment-monitoring/")
        for claims in (ADMIN, OWNER, {}):
            token = running.token(claims)
            for path in ("/ws/payment-monitoring/", "/ws/admin/payments/", "/ws/admin/webhooks/"):
                with pytest.raises(InvalidStatus) as refused:
                    async with connected(base + path, token):
                        pass
                assert refused.value.response.status_code == 403
