"""What is not theirs shows nowhere else either: in refusals, in counts, in what is left out and what is said of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.client import Client, connected
from tests.support.database import Database
from tests.support.garden import Garden
from tests.support.leaks import NORTH, SOUTH, Plants
from tests.support.onlookers import CLAIMS, OLD_PAGES, READERS, begin, settings
from tests.support.polling import get, query
from tests.support.relay import running_relay


@pytest.mark.parametrize("claims", [{}, {"role": "parent"}, {"role": "school_owner"}, {"is_superuser": 1}])
async def test_who_has_no_scope_is_not_let_in(database: Database, claims: dict[str, Any]) -> None:
    """Without a policy that grants something, a claim a scope needs included, the handshake is refused on any path."""
    async with running_relay(settings(database)) as running:
        token = running.token(claims)
        base = running.url.removesuffix("payment-monitoring/")
        for url in (running.url, *(f"{base}admin/{page}/" for page in OLD_PAGES)):
            with pytest.raises(InvalidStatus) as refused:
                async with connected(url, token):
                    pass
            assert refused.value.response.status_code == 403
            assert b"policy" in (refused.value.response.body or b"")


HIDDEN = {
    "staff": ["customer_email", "customer_name", "payment_intent_id", "school_ids", "stripe_customer_id"],
    "auditor": ["customer_email", "customer_name", "status", "status_display", "school_ids"],
    "north": ["customer_email", "payment_intent_id", "school_ids"],
    "superuser": ["school_ids", "stripe_customer_id", "student_id"],
}
SHAPES: list[Callable[[str], dict[str, Any]]] = [
    lambda name: {name: "x"},
    lambda name: {name: {"changed": True}},
    lambda name: {"any_of": [{name: ["x", "y"]}]},
]


async def test_a_filter_on_what_is_hidden_is_an_error_like_any_unknown_field(database: Database) -> None:
    """Masked, dropped, hidden and unlisted fields are refused in the same words, alone, in a list and in any_of, by
    WebSocket as by HTTP."""
    async with running_relay(settings(database)) as running:
        for role, fields in HIDDEN.items():
            token = running.token(CLAIMS[role], subject=role)

            async def ask(name: str, shape: Callable[[str], Any], client: Client, token: str) -> list[Any]:
                await client.send(
                    "subscribe", channels=["transactions"], filters={"transactions": shape(name)}
                )
                error = await client.take("error")
                path = query(channel="transactions", filter=shape(name))
                answer = await get(f"{running.http}/api/snapshot?{path}", token)
                said = [error["code"], error["message"], answer.status, answer.body["message"]]
                return [re.sub(rf"\b{name}\b", "…", str(each)) for each in said]

            async with connected(running.url, token) as client:
                await client.take("welcome")
                for name, shape in itertools.product(fields, SHAPES):
                    answer = await ask(name, shape, client, token)
                    assert answer == await ask("nonsense", shape, client, token), (role, name)
                    assert (answer[0], answer[2]) == ("filter_refused", "400")
                assert client.of("subscribed") == []


async def test_aggregates_do_not_exist_for_tenants(database: Database) -> None:
    """Asking for global numbers is answered as asking for a channel that nobody has ever declared."""
    async with running_relay(settings(database)) as running:
        for role in ("north", "no school", "staff"):
            async with connected(running.url, running.token(CLAIMS[role], subject=role)) as client:
                assert not {"metrics", "webhook_status"} & set((await client.take("welcome"))["channels"])
                answers = []
                for asked in ("metrics", "webhook_status", "nonsense"):
                    await client.send("subscribe", channels=[asked], snapshot=10)
                    error = await client.take("error")
                    answers.append((error["code"], error["message"].replace(asked, "…")))
                assert len(set(answers)) == 1


async def test_what_happens_to_others_leaves_no_trace(database: Database) -> None:
    """A school's dashboard hears nothing of another's rows: not that one is withheld, left, gone, or how many."""
    plants = Plants(4)
    garden = Garden(database, plants, READERS, frozenset({"superuser"}), frozenset({"superuser"}))
    user, own = await garden.student(SOUTH), await garden.student(NORTH)
    payments = [await garden.pay(user) for _ in range(5)]
    mine = await garden.pay(own)
    async with running_relay(settings(database)) as running:
        await running.settle()
        async with (
            connected(running.url, running.token(CLAIMS["north"], subject="n")) as north,
            connected(running.url, running.token(CLAIMS["superuser"], subject="s")) as admin,
        ):
            since, views = await begin(north, "transactions", snapshot=1)
            await begin(admin)
            (rows,) = north.of("snapshot")
            assert [row["id"] for row in rows["rows"]] == [str(mine)]
            assert rows["truncated"] is False  # five more rows there are, and none of them is theirs
            before = len(north.frames)
            await garden.touch(payments[0])
            # A row that cannot be shown, one that goes, and one of nobody.
            await database.execute(
                "UPDATE finances_purchasetransaction SET metadata = '[]' WHERE id = %s", payments[1]
            )
            await database.execute("DELETE FROM finances_purchasetransaction WHERE id = %s", payments[2])
            await garden.pay(await garden.student(None))
            await database.execute("UPDATE finances_purchasetransaction SET amount = 7 WHERE id = %s", mine)
            last = await north.take("transaction_update")
            assert last["data"]["transaction"]["id"] == str(mine)
            assert {frame["type"] for frame in north.frames[before:]} <= {"transaction_update", "checkpoint"}
            assert len(north.of("transaction_update")) == 1
            await admin.take("transaction_update", where=lambda f: f["data"]["action"] == "deleted")
            assert admin.of("withheld")
        async with connected(running.url, running.token(CLAIMS["north"], subject="n")) as north:
            await north.take("welcome")
            await north.send("subscribe", channels=list(views), since=since, views=views)
            told = (await north.take("subscribed"))["channels"]
            assert {name: each["replayed"] for name, each in told.items()} == {"transactions": 1}


async def test_a_row_that_leaves_says_its_id_and_no_more(database: Database) -> None:
    """Who loses a row of theirs is told ``left`` with the id alone, and nothing of what it has become."""
    plants = Plants(5)
    garden = Garden(database, plants, READERS, frozenset({"superuser"}), frozenset())
    north_user, south_user = await garden.student(NORTH), await garden.student(SOUTH)
    payment = await garden.pay(north_user)
    async with running_relay(settings(database)) as running:
        await running.settle()
        async with connected(running.url, running.token(CLAIMS["north"], subject="n")) as north:
            await begin(north)
            await database.execute(
                "UPDATE finances_purchasetransaction SET student_id = %s, payment_status = 'failed' WHERE id = %s",
                south_user,
                payment,
            )
            left = await north.take("transaction_update")
            assert left["membership"] == "left"
            assert left["data"] == {"action": "updated", "transaction": {"id": str(payment)}}


async def test_a_payment_that_is_deleted_starts_disputes_over_and_says_no_more(database: Database) -> None:
    """Whose disputes hung on it cannot be told once it is gone, so every school's start over, with their own rows."""
    plants = Plants(6)
    garden = Garden(database, plants, READERS, frozenset({"superuser"}), frozenset())
    mine = await garden.dispute(await garden.pay(await garden.student(NORTH)))
    theirs = await garden.pay(await garden.student(SOUTH))
    async with running_relay(settings(database)) as running:
        await running.settle()
        async with connected(running.url, running.token(CLAIMS["north"], subject="n")) as north:
            await begin(north, snapshot=10)
            before = len(north.frames)
            await database.execute("DELETE FROM finances_purchasetransaction WHERE id = %s", theirs)
            again = await north.take("snapshot")
            assert [row["id"] for row in again["rows"]] == [str(mine)]
            assert {frame["type"] for frame in north.frames[before:]} <= {"resync", "snapshot", "checkpoint"}
            assert all(frame["channels"] == ["disputes"] for frame in north.of("resync"))
            assert plants.find("north", north.frames) == []
