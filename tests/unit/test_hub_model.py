"""What the hub sends against a naive evaluation of every event for every subscriber."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from relay.capture.change import Change
from relay.routing.hub import Hub
from relay.routing.prepare import Preparer
from tests.support.ledger import Database
from tests.support.routing import PAYMENTS, Recorder, batch, channel, told
from tests.support.world import Filter, passes, shown, some_view

SCHOOLS = {1: [10], 2: [10, 20], 3: [30]}
SHOWN = ("id", "amount", "status", "note")


def naive(change: Change, wanted: Filter, scope: Filter) -> list[tuple[Any, ...]]:
    """(id, action, membership) of what one subscriber is told of one change, straight from the rules."""
    new = shown(change.new, SCHOOLS) if change.new else None
    old = shown(change.old, SCHOOLS) if change.old else None
    id = str(change.id)
    had_scope, has_scope = old is not None and passes(old, scope), new is not None and passes(new, scope)
    had = had_scope and old is not None and passes(old, wanted)
    has = has_scope and new is not None and passes(new, wanted)
    if change.new and new is None:
        return [("withheld",)] if not scope else [(id, "updated", "left")] if had else []
    if change.op == "insert":
        return [(id, "created", None)] if has else []
    if change.op == "delete":
        return [(id, "deleted", None)] if had or (old is None and not scope) else []
    assert new is not None
    if old is None:
        return [(id, "updated", None if has else "left")] if has_scope else []
    changed = any(old[name] != new[name] for name in SHOWN)
    action = "status_changed" if had_scope and has_scope and old["status"] != new["status"] else "updated"
    if had and has:
        return [(id, action, None)] if changed else []
    return [(id, action, "entered")] if has else [(id, action, "left")] if had else []


@pytest.mark.parametrize("seed", range(20))
def test_every_subscriber_is_told_what_a_naive_evaluation_says(seed: int) -> None:
    """For random policies, filters and batches, each connection gets exactly its messages, in order, and no other."""
    dice = random.Random(seed)
    payments = channel()
    database = Database(dice)
    preparer = Preparer({"payments": payments}, database)
    hub = Hub({"payments": payments}, 100, 100)
    audience = []
    for _ in range(30):
        outlet, (view, wanted, scope) = Recorder(), some_view(dice, payments)
        hub.release(hub.join(hub.attach(outlet), view))
        audience.append((outlet, wanted, scope))
    for xmax in range(1001, 1041):
        database.begin()
        for _ in range(dice.randint(1, 15)):
            database.write()
        changes = [each for each in database.outbox if each.source == PAYMENTS and each.op != "truncate"]
        database.outbox.clear()
        database.end()
        database.schools = dict(SCHOOLS)
        hub.publish(asyncio.run(preparer.prepare(changes)), batch(changes, xmax=xmax))
        for outlet, wanted, scope in audience:
            expected = [each for change in changes for each in naive(change, wanted, scope)]
            assert len(outlet.bundles) == bool(expected)
            assert told(outlet.drain()) == expected + [("checkpoint",)] * bool(expected)
