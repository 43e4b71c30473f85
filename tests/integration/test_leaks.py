"""Nobody is sent what is not theirs: rows full of planted values, every role, every path."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from relay import jsontext
from relay.messages.payments import PAYMENT_MESSAGES
from tests.support.database import Database
from tests.support.garden import Garden
from tests.support.leaks import NORTH, SOUTH, Plants
from tests.support.onlookers import READERS, Watch, settings
from tests.support.relay import running_relay


async def grow(garden: Garden, plants: Plants, rounds: int) -> None:
    """Rows in all tables, and changes of them."""
    for number in range(rounds):
        user = await garden.student([NORTH, SOUTH, None][number % 3])
        payments = [await garden.pay(user, "failed"), await garden.pay(user)]
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
                await grow(garden, plants, 2)
                await running.settle()
                if emptied:
                    running.daemon.services.hub._ring.clear()
                await watch.ask()
                wishes = {role: {"since": since, "views": views} for role, (since, views) in back.items()}
                async with watch.open(wishes):
                    await grow(garden, plants, 2)
    for role, person in watch.people.items():
        assert plants.find(role, person.frames) == []
        assert plants.find(role, person.answers) == []
    assert plants.find("nobody", [logs, generate_latest().decode()]) == []
    for frame in watch.people["superuser"].frames:
        model = PAYMENT_MESSAGES.get(frame["type"])
        if model is not None and "channel" in frame:  # on the paths of old pages there is none
            model.model_validate_json(jsontext.encode(frame))
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
