"""Nobody is sent what is not theirs: rows full of planted values, every role, every path, and all that was said."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus

from relay.config import PolicySettings, Settings
from tests.support.client import Client, Frame, connected
from tests.support.database import Database
from tests.support.leaks import NORTH, SOUTH, Garden, Plants
from tests.support.polling import Poller, get, query
from tests.support.relay import RunningRelay, running_relay, settings_for

MASKS = {
    "customer_email": "email",
    "customer_name": "redact",
    "metadata": "redact",
    "payment_intent_id": "last8",
}
POLICIES: list[dict[str, Any]] = [
    {"name": "superuser", "when": {"is_superuser": True}, "channels": ["*"]},
    {
        "name": "staff",
        "when": {"is_staff": True},
        "channels": ["transactions", "disputes", "fraud_alerts"],
        "mask": {**MASKS, "resolved_by": "drop"},
    },
    {
        "name": "auditor",
        "when": {"role": "auditor"},
        "channels": ["transactions", "disputes"],
        "mask": {
            **MASKS,
            "customer_email": "hash",
            "customer_name": "drop",
            "status": "drop",
            "status_display": "drop",
        },
    },
    {
        "name": "owner",
        "when": {"role": "school_owner"},
        "channels": ["transactions", "disputes"],
        "where": {"school_ids": {"overlaps": "$claims.school_ids"}},
        "mask": MASKS,
    },
]
CLAIMS: Mapping[str, Mapping[str, Any]] = {
    "superuser": {"is_superuser": True},
    "staff": {"is_staff": True},
    "auditor": {"role": "auditor"},
    "north": {"role": "school_owner", "school_ids": [NORTH]},
    "south": {"role": "school_owner", "school_ids": [SOUTH]},
    "no school": {"role": "school_owner", "school_ids": []},
}
GLOBAL = frozenset({"superuser", "staff", "auditor"})
READERS: Mapping[int | None, frozenset[str]] = {
    None: GLOBAL,
    NORTH: GLOBAL | {"north"},
    SOUTH: GLOBAL | {"south"},
}
CHANNELS = ("transactions", "disputes", "fraud_alerts", "webhooks", "metrics", "webhook_status")
OLD_PAGES = ("payments", "transactions", "webhooks")


def settings(database: Database) -> Settings:
    """The demo's channels under the policies above."""
    made = settings_for(database.daemon_dsn, masks={"hash_key": "a key for hashes, thirty-two bytes long"})
    return made.model_copy(update={"policies": tuple(map(PolicySettings.model_validate, POLICIES))})


@dataclass
class Person:
    """Somebody of one role, and everything they were ever sent, on whatever path."""

    role: str
    token: str
    frames: list[Frame] = field(default_factory=list)
    answers: list[Frame] = field(default_factory=list)
    back: tuple[str, dict[str, str]] = ("", {})
    granted: list[str] = field(default_factory=list)
    poller: Poller | None = None

    def of(self, type: str) -> list[Frame]:
        """The messages of one type."""
        return [frame for frame in self.frames if frame["type"] == type]


class Watch:
    """People on all paths of one relay, who read until told otherwise."""

    def __init__(self, running: RunningRelay) -> None:
        self.running = running
        self.people = {
            role: Person(role, running.token(claims, subject=role)) for role, claims in CLAIMS.items()
        }

    @contextlib.asynccontextmanager
    async def open(self, wishes: Mapping[str, Mapping[str, Any]]) -> AsyncIterator[None]:
        """Everybody on the path of today, subscribed to what they may see with these ``wishes``; and, where nobody
        brings a cursor, on those of old pages. At the end all that was committed until then has come."""
        async with contextlib.AsyncExitStack() as stack:
            clients = []
            for role, person in self.people.items():
                client = await stack.enter_async_context(connected(self.running.url, person.token))
                person.back = await begin(client, **wishes[role])
                person.granted = client.of("welcome")[0]["channels"]
                clients.append((person, client))
                for page in OLD_PAGES if "since" not in wishes[role] else ():
                    base = self.running.url.removesuffix("payment-monitoring/")
                    url = f"{base}admin/{page}/?token={person.token}"
                    client = await stack.enter_async_context(connected(url))
                    if page == "payments":
                        await client.send("subscribe", channels=CHANNELS)
                    clients.append((person, client))
            async with asyncio.TaskGroup() as reading:
                for _, client in clients:
                    reading.create_task(client.closed(within=60))
                yield
                await self.running.settle()
                for _, client in clients:
                    await (await client.socket.ping())  # its answer comes behind all that was written before
                    await client.socket.close()
            for person, client in clients:
                person.frames += client.frames

    async def ask(self) -> None:
        """What everybody gets by HTTP: a poll that goes on from the last, rows of every channel, and the schema."""
        for person in self.people.values():
            if person.poller is None:
                granted = [name for name in CHANNELS if name in person.granted]
                person.poller = Poller(self.running.http, person.token, granted, snapshot=100)
            await person.poller.poll(wait=0)
            person.answers += person.poller.frames
            for path in (*(f"snapshot?{query(channel=name, rows=100)}" for name in CHANNELS), "schema"):
                answer = await get(f"{self.running.http}/api/{path}", person.token)
                person.answers.append({"type": "answer", "body": answer.body})


async def begin(client: Client, *channels: str, **wishes: Any) -> tuple[str, dict[str, str]]:
    """Subscribe, to all that is granted unless told; the cursor and the views to come back with."""
    granted = (await client.take("welcome"))["channels"]
    await client.send("subscribe", channels=channels or granted, **wishes)
    views = {name: each["view"] for name, each in (await client.take("subscribed"))["channels"].items()}
    return (await client.take("checkpoint"))["cursor"], views


async def grow(garden: Garden, plants: Plants, rounds: int) -> None:
    """Rows in all tables, and changes of them."""
    for _ in range(rounds):
        school = plants.random.choice([NORTH, SOUTH, None])
        user = await garden.student(school)
        payments = [await garden.pay(user), await garden.pay(user)]
        await garden.dispute(payments[0])
        await garden.alert(payments[1])
        await garden.webhook()
        for _ in range(4):
            await garden.touch(plants.random.choice(payments))
        if plants.random.random() < 0.4:
            await garden.move(user, plants.random.choice([NORTH, SOUTH]))
            await garden.touch(payments[0])


@pytest.mark.parametrize("seed", [1, 2])
async def test_nobody_is_sent_what_is_not_theirs(database: Database, seed: int) -> None:
    """No card number, secret, unlisted column or key, masked value or row of another school is in any frame, by
    snapshot, live, from memory, from the outbox, on the paths of old pages, by HTTP; nor in a log line or a metric."""
    plants = Plants(seed)
    garden = Garden(database, plants, READERS, frozenset({"superuser"}), frozenset({"superuser", "staff"}))
    await grow(garden, plants, 4)
    with capture_logs() as logs:
        async with running_relay(settings(database)) as running:
            watch = Watch(running)
            async with watch.open({role: {"snapshot": 100} for role in watch.people}):
                await grow(garden, plants, 4)
            await watch.ask()
            for emptied in (False, True):
                back = {role: person.back for role, person in watch.people.items()}
                await grow(garden, plants, 1)
                await running.settle()
                if emptied:
                    running.daemon.services.hub._ring.clear()
                await watch.ask()
                wishes = {role: {"since": since, "views": views} for role, (since, views) in back.items()}
                async with watch.open(wishes):
                    await grow(garden, plants, 1)
    for role, person in watch.people.items():
        assert plants.find(role, person.frames) == []
        assert plants.find(role, person.answers) == []
    assert plants.find("nobody", [logs, generate_latest().decode()]) == []
    resumed = [each["channels"]["transactions"]["resumed"] for each in watch.people["staff"].of("subscribed")]
    assert resumed == [False, True, True]
    # The other half: what is theirs did come, so the search was of something.
    common = {"error", "dispute", "end of intent"}
    bare = {"address", "name", "intent", "plan", "event", "event error", "alert", "description", "assignee"}
    assert bare | common <= plants.seen("superuser", watch.people["superuser"].frames)
    for role in ("staff", "auditor", "north", "south"):
        assert common <= plants.seen(role, watch.people[role].frames), role
        assert common <= plants.seen(role, watch.people[role].answers), role
        assert watch.people[role].of("transaction_update")
    assert watch.people["no school"].of("transaction_update") == []
    for role in ("north", "south", "no school", "auditor", "staff"):
        assert not watch.people[role].of("metrics_update") + watch.people[role].of("webhook_status")
    assert all("previous_status" not in frame.get("data", {}) for frame in watch.people["auditor"].frames)


async def test_the_search_finds_what_is_there(database: Database) -> None:
    """A frame with a planted value is found for who may not have it, whatever its escapes, and only for them."""
    plants = Plants(3)
    card, word = plants.card(), plants.put("word", {"superuser"})
    secret = plants.secret()
    frames: list[Any] = [{"a": [f"x{card}y"]}, {"b": {word: 1}}, {"c": f"{secret}!"}]
    assert {what for what, _ in plants.find("staff", frames)} == {"card", "word", "secret"}
    assert {what for what, _ in plants.find("superuser", frames)} == {"card", "secret"}
    assert plants.seen("superuser", frames) == {"word"}


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


async def test_a_filter_on_what_is_hidden_is_an_error_like_any_unknown_field(database: Database) -> None:
    """Masked, dropped, hidden and unlisted fields are refused in the same words, alone, in a list and in any_of."""
    hidden = {
        "staff": ["customer_email", "customer_name", "payment_intent_id", "school_ids", "stripe_customer_id"],
        "auditor": ["customer_email", "customer_name", "status", "status_display", "school_ids"],
        "north": ["customer_email", "payment_intent_id", "school_ids"],
        "superuser": ["school_ids", "stripe_customer_id", "student_id"],
    }
    async with running_relay(settings(database)) as running:
        for role, fields in hidden.items():
            async with connected(running.url, running.token(CLAIMS[role], subject=role)) as client:
                await client.take("welcome")
                for name in fields:
                    for shape in ({name: "x"}, {name: {"changed": True}}, {"any_of": [{name: ["x", "y"]}]}):
                        answers = []
                        for asked in (name, "nonsense"):
                            spec = (
                                {"any_of": [{asked: ["x", "y"]}]}
                                if "any_of" in shape
                                else {asked: shape[name]}
                            )
                            await client.send(
                                "subscribe", channels=["transactions"], filters={"transactions": spec}
                            )
                            error = await client.take("error")
                            answers.append((error["code"], re.sub(rf"\b{asked}\b", "…", error["message"])))
                        assert answers[0] == answers[1], (role, name)
                        assert answers[0][0] == "filter_refused"
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
