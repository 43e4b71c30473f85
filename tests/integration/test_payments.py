"""Payments as people mean them: actions, and what one table's change says about another's row."""

from __future__ import annotations

from typing import Any

from tests.support.client import Client, connected
from tests.support.database import Database
from tests.support.payments import pay, student
from tests.support.relay import ADMIN, RunningRelay


async def alert(database: Database, user: int | None) -> int:
    """A fraud alert; the id."""
    ((number,),) = await database.execute(
        "INSERT INTO finances_fraudalert (alert_id, severity, status, alert_type, description, target_user_id,"
        " detection_data, risk_score, resolution_notes, actions_taken, created_at, updated_at) VALUES"
        " ('FA-' || gen_random_uuid(), 'high', 'active', 'velocity', '', %s, '{}', 40, '', '[]', now(), now())"
        " RETURNING id",
        user,
    )
    return int(number)


async def link(database: Database, number: int, payment: int) -> None:
    """Say which payment an alert is about."""
    await database.execute(
        "INSERT INTO finances_fraudalert_related_transactions (fraudalert_id, purchasetransaction_id) VALUES (%s, %s)",
        number,
        payment,
    )


async def subscribed(client: Client, channel: str) -> None:
    """Subscribe, and wait until it stands."""
    await client.send("subscribe", channels=[channel])
    await client.take("checkpoint")


async def test_a_link_that_comes_later_updates_its_alert(database: Database, running: RunningRelay) -> None:
    """An alert is created without a payment; when the link row is committed it is updated with intent and amount."""
    payment = await pay(database, await student(database), "99.50", stripe_payment_intent_id="pi_99")
    await running.settle()
    async with connected(running.url, running.token()) as client:
        await subscribed(client, "fraud_alerts")
        number = await alert(database, None)
        created = await client.take("fraud_alert")
        assert created["data"]["action"] == "created"
        assert created["data"]["alert"]["amount"] is None
        await link(database, number, payment)
        updated = await client.take("fraud_alert")
        assert updated["data"]["action"] == "updated"
        assert updated["data"]["alert"]["amount"] == "99.50"
        assert updated["data"]["alert"]["payment_intent_id"] == "pi_99"
        assert sorted(updated["data"]["changed"]) == ["amount", "payment_intent_id"]


async def test_an_alert_and_its_link_in_one_transaction_are_one_message(
    database: Database, running: RunningRelay
) -> None:
    """Where both are committed at once ``created`` has the payment already, and nothing is told twice."""
    payment = await pay(database, await student(database), "99.50")
    await running.settle()
    async with connected(running.url, running.token()) as client:
        await subscribed(client, "fraud_alerts")
        await database.execute("BEGIN")
        number = await alert(database, None)
        await link(database, number, payment)
        await database.execute("COMMIT")
        other = await alert(database, None)
        told = [(await client.take("fraud_alert"))["data"] for _ in range(2)]
        assert [(data["action"], data["alert"]["id"]) for data in told] == [
            ("created", str(number)),
            ("created", str(other)),
        ]
        assert [data["alert"]["amount"] for data in told] == ["99.50", None]


async def test_a_score_comes_with_the_link_to_its_payment(database: Database, running: RunningRelay) -> None:
    """The highest score of a payment's alerts is the payment's; a new link is told as an update of the payment."""
    payment = await pay(database, await student(database), "99.50")
    await running.settle()
    async with connected(running.url, running.token()) as client:
        await subscribed(client, "transactions")
        for score, shown in ((30, 30), (80, 80), (50, 80)):
            number = await alert(database, None)
            await database.execute(
                "UPDATE finances_fraudalert SET risk_score = %s WHERE id = %s", score, number
            )
            await link(database, number, payment)
            if score == shown:
                told = (await client.take("transaction_update"))["data"]
                assert (told["action"], told["changed"]) == ("updated", ["risk_score"])
                assert told["transaction"]["risk_score"] == shown
        await database.execute("DELETE FROM finances_fraudalert_related_transactions")
        told = (await client.take("transaction_update"))["data"]
        assert told["transaction"]["risk_score"] is None


async def test_a_link_to_an_alert_nobody_has_looked_up_is_told_whole(
    database: Database, running: RunningRelay
) -> None:
    """Where the earlier result is not known any more, the row is told without saying what changed."""
    payment = await pay(database, await student(database), "10.00")
    number = await alert(database, None)
    await running.settle()
    cache = running.daemon.services.preparer._cache
    cache.drop(("fraud_alerts", "payment"))
    async with connected(running.url, running.token()) as client:
        await subscribed(client, "fraud_alerts")
        await link(database, number, payment)
        updated = await client.take("fraud_alert")
        assert updated["data"]["alert"]["amount"] == "10.00"
        assert "changed" not in updated["data"]


async def test_an_announced_update_is_replayed_under_the_same_id(
    database: Database, running: RunningRelay
) -> None:
    """A client that comes back gets the alert's update by its id, from memory as from the outbox of another relay."""
    payment = await pay(database, await student(database), "10.00")
    number = await alert(database, None)
    await running.settle()
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["fraud_alerts"])
        views = {"fraud_alerts": (await client.take("subscribed"))["channels"]["fraud_alerts"]["view"]}
        cursor = (await client.take("checkpoint"))["cursor"]
        await link(database, number, payment)
        live = await client.take("fraud_alert")
    running.daemon.services.hub._ring.clear()
    async with connected(running.url, running.token(ADMIN)) as client:
        await client.send("subscribe", channels=["fraud_alerts"], since=cursor, views=views)
        assert (await client.take("subscribed"))["channels"]["fraud_alerts"]["replayed"] == 1
        again = await client.take("fraud_alert")
        assert again["id"] == live["id"]
        assert again["data"]["alert"] == live["data"]["alert"]


async def test_statuses_have_the_actions_that_dashboards_know(
    database: Database, running: RunningRelay
) -> None:
    """A false positive is resolved; a dispute that needs a response asks for evidence; other moves are updates."""
    number = await alert(database, None)
    payment = await pay(database, await student(database))
    ((dispute,),) = await database.execute(
        "INSERT INTO finances_paymentdispute (stripe_dispute_id, purchase_transaction_id, amount, currency, reason,"
        " status, evidence_details, is_responded, internal_notes, stripe_metadata, created_at, updated_at)"
        " VALUES ('dp_1', %s, 5, 'eur', 'general', 'under_review', '{}', false, '', '{}', now(), now()) RETURNING id",
        payment,
    )
    await running.settle()
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["fraud_alerts", "disputes"])
        await client.take("checkpoint")
        moves: list[tuple[str, str, int, str, str]] = [
            ("finances_fraudalert", "fraud_alert", number, "investigating", "updated"),
            ("finances_fraudalert", "fraud_alert", number, "false_positive", "resolved"),
            ("finances_paymentdispute", "dispute_update", dispute, "needs_response", "evidence_required"),
            ("finances_paymentdispute", "dispute_update", dispute, "lost", "resolved"),
        ]
        for table, type, key, status, action in moves:
            await database.execute(f"UPDATE {table} SET status = %s WHERE id = %s", status, key)
            told: dict[str, Any] = await client.take(type)
            assert told["data"]["action"] == action
            assert told["data"]["previous_status"]
