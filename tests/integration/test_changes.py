"""What a change looks like to whom: filters, scopes, rows that enter and leave, and rows nobody can be shown."""

from __future__ import annotations

import contextlib
from typing import Any

import structlog

from tests.support.client import Client, connected
from tests.support.database import Database
from tests.support.payments import enrol, move, pay, student
from tests.support.relay import OWNER, RunningRelay


def ids(frame: dict[str, Any]) -> list[str]:
    """The row ids of a snapshot."""
    return [row["id"] for row in frame["rows"]]


async def told(client: Client, payment: int) -> dict[str, Any]:
    """The next update about ``payment``."""
    return await client.take(
        "transaction_update", where=lambda frame: frame["data"]["transaction"]["id"] == str(payment)
    )


async def test_a_row_enters_and_leaves_a_filter(database: Database, running: RunningRelay) -> None:
    """A row that comes to match has ``entered``, one that stops matching has ``left``; a deleted one is its id."""
    user = await student(database)
    payment = await pay(database, user, status="pending")
    async with connected(running.url, running.token()) as client:
        await client.send(
            "subscribe", channels=["transactions"], filters={"transactions": {"status": "failed"}}
        )
        await client.take("checkpoint")
        await move(database, payment, "failed")
        entered = await told(client, payment)
        assert entered["membership"] == "entered"
        await move(database, payment, "refunded")
        left = await told(client, payment)
        assert left["membership"] == "left"
        assert left["data"]["transaction"]["status"] == "refunded"
        other = await pay(database, user, status="failed")
        await told(client, other)
        await database.execute("DELETE FROM finances_purchasetransaction WHERE id = %s", other)
        deleted = await told(client, other)
        assert deleted["data"]["action"] == "deleted"
        assert deleted["data"]["transaction"] == {"id": str(other)}


async def test_an_owner_sees_the_own_school_and_nothing_else(
    database: Database, running: RunningRelay
) -> None:
    """A scoped subscriber gets snapshot and stream of the own school's students; other payments leave no trace."""
    ours = await student(database, "ours@example.com", school=1)
    theirs = await student(database, "theirs@example.com", school=2)
    mine, foreign = await pay(database, ours), await pay(database, theirs)
    await running.settle()
    async with connected(running.url, running.token(OWNER)) as client:
        welcome = await client.take("welcome")
        assert welcome["channels"] == ["disputes", "transactions"]
        await client.send("subscribe", channels=["transactions", "webhooks"], snapshot=10)
        assert (await client.take("error"))["code"] == "unknown_channel"
        assert ids(await client.take("snapshot")) == [str(mine)]
        await client.take("checkpoint")
        await move(database, foreign, "failed")
        await move(database, mine, "failed")
        await told(client, mine)
        assert len(client.of("transaction_update")) == 1
        assert "school_ids" not in str(client.frames)
        assert "theirs@example.com" not in str(client.frames)


async def test_a_student_who_changes_school_is_a_resync_for_scoped_subscribers(
    database: Database, running: RunningRelay
) -> None:
    """When what a scope depends on changes, its subscribers are told resync and get a snapshot of the new scope."""
    user = await student(database, school=1)
    payment = await pay(database, user)
    await running.settle()
    async with connected(running.url, running.token(OWNER)) as client:
        await client.send("subscribe", channels=["transactions"], snapshot=10)
        assert ids(await client.take("snapshot")) == [str(payment)]
        await client.take("checkpoint")
        await database.execute("UPDATE accounts_schoolmembership SET school_id = 2 WHERE user_id = %s", user)
        resync = await client.take("resync")
        assert (resync["channels"], resync["reason"]) == (["transactions"], "scope_changed")
        assert ids(await client.take("snapshot")) == []
        await client.take("checkpoint")
        await enrol(database, user, 1)
        await client.take("resync")
        assert ids(await client.take("snapshot")) == [str(payment)]


async def test_a_student_who_changes_school_disturbs_no_other_school(
    database: Database, running: RunningRelay
) -> None:
    """The old school and the new one start over; whoever sees neither goes on as if nothing had been."""
    user = await student(database, school=1)
    other = await pay(database, await student(database, "other@example.com", school=3))
    await pay(database, user)
    await running.settle()
    async with contextlib.AsyncExitStack() as stack:
        owners = []
        for school in (1, 2, 3):
            token = running.token({"role": "school_owner", "school_ids": [school]}, subject=f"owner {school}")
            client = await stack.enter_async_context(connected(running.url, token))
            await client.send("subscribe", channels=["transactions", "disputes"], snapshot=10)
            await client.take("checkpoint")
            owners.append(client)
        await database.execute("UPDATE accounts_schoolmembership SET school_id = 2 WHERE user_id = %s", user)
        for client, rows in zip(owners, (0, 1), strict=False):
            assert sorted((await client.take("resync"))["channels"]) == ["disputes", "transactions"]
            frames = [await client.take("snapshot"), await client.take("snapshot")]
            assert sum(len(frame["rows"]) for frame in frames) == rows
        await move(database, other, "failed")
        await told(owners[2], other)
        assert owners[2].of("resync") == []


async def test_a_change_nobody_is_shown_is_not_sent(database: Database, running: RunningRelay) -> None:
    """An update of columns outside the mapping, or of unlisted metadata keys, brings no message."""
    payment = await pay(database, await student(database), metadata='{"plan_name": "Gold"}')
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions"])
        await client.take("checkpoint")
        for change in ("stripe_customer_id = 'cus_1'", 'metadata = \'{"plan_name": "Gold", "secret": 1}\''):
            await database.execute(f"UPDATE finances_purchasetransaction SET {change} WHERE id = %s", payment)
        await move(database, payment, "failed")
        await told(client, payment)
        assert len(client.of("transaction_update")) == 1
        assert "secret" not in str(client.frames)


async def test_emptying_a_table_is_a_resync(database: Database, running: RunningRelay) -> None:
    """TRUNCATE is told as resync, followed by a snapshot that shows the table as it is: empty."""
    payment = await pay(database, await student(database))
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions"], snapshot=10)
        assert ids(await client.take("snapshot")) == [str(payment)]
        await client.take("checkpoint")
        await database.execute("TRUNCATE finances_purchasetransaction CASCADE")
        assert (await client.take("resync"))["reason"] in ("truncated", "capture_changed")
        assert ids(await client.take("snapshot")) == []


async def test_a_row_that_cannot_be_read_is_withheld_and_others_flow(
    database: Database, running: RunningRelay
) -> None:
    """A row that fails validation is announced to whoever has no scope, by event id alone, and logged with the field;
    the next row arrives."""
    user = await student(database, school=1)
    await running.settle()
    async with (
        connected(running.url, running.token()) as admin,
        connected(running.url, running.token(OWNER)) as owner,
    ):
        for client in (admin, owner):
            await client.send("subscribe", channels=["transactions"])
            await client.take("checkpoint")
        with structlog.testing.capture_logs() as logs:
            await pay(database, user, amount="NaN")
            good = await pay(database, user)
            withheld = await admin.take("withheld")
        assert set(withheld) == {"type", "channel", "id"}
        (line,) = (line for line in logs if line["event"] == "row_withheld")
        assert (line["channel"], line["event_id"], line["count"]) == ("transactions", withheld["id"], 1)
        assert "amount" in line["reason"]
        assert "NaN" not in str(line)
        await told(admin, good)
        await told(owner, good)
        assert owner.of("withheld") == []


async def test_changes_of_one_row_in_one_transaction_are_folded(
    database: Database, running: RunningRelay
) -> None:
    """A purchase inserted and updated in one transaction arrives as one ``created`` with its final state."""
    user = await student(database)
    async with connected(running.url, running.token()) as client:
        await client.send("subscribe", channels=["transactions"])
        await client.take("checkpoint")
        await database.execute(
            f"DO $$ DECLARE p bigint; BEGIN"
            f" INSERT INTO finances_purchasetransaction (student_id, transaction_type, amount, payment_status,"
            f" metadata, created_at, updated_at) VALUES ({user}, 'package', 1, 'processing', '{{}}', now(), now())"
            f" RETURNING id INTO p;"
            f" UPDATE finances_purchasetransaction SET payment_status = 'pending' WHERE id = p; END $$"
        )
        update = await client.take("transaction_update")
        assert update["data"]["action"] == "created"
        assert update["data"]["transaction"]["status"] == "pending"
        await told(client, await pay(database, user))
        assert len(client.of("transaction_update")) == 2
