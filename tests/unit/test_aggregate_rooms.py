"""Aggregates from the first count to the last message: what is missed, what is told, to whom, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from relay import jsontext
from relay.capture.batch import Batch, Gap
from relay.capture.change import Change
from relay.capture.snapshot import Snapshot
from relay.routing.aggregates.aggregate import compile_aggregates
from relay.routing.aggregates.audit import differences
from relay.routing.aggregates.room import Room
from relay.routing.aggregates.rooms import Aggregates
from tests.support.aggregates import (
    NOW,
    PAYMENTS,
    WEBHOOKS,
    FakeScreen,
    Ledger,
    metrics_of,
    payment_settings,
    webhook_settings,
)

SETTINGS = {"metrics": payment_settings(), "webhook_status": webhook_settings()}


class House:
    """Two aggregates over a ledger, and the batches that reach them. Transaction ids are 1000 + the change's id."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.aggregates = Aggregates(compile_aggregates(SETTINGS))
        self.room = self.aggregates["metrics"]
        self.now = NOW
        self.xid = 1000

    def pay(self, key: int = 1, status: str = "completed", amount: str = "10.00") -> Change:
        """Write a payment. It is published when its change is."""
        row = {"status": status, "created_at": self.now.isoformat(), "amount": Decimal(amount)}
        change = self.ledger.write(PAYMENTS, key, **row)
        self.xid = change.xid
        return change

    def batch(self, *changes: Change, **fields: Any) -> Batch:
        """A batch after which everything written so far is published."""
        snapshot = Snapshot.of(self.xid + 1)
        return replace(Batch(changes, snapshot, self.now, "c", None), **fields)

    def publish(self, *changes: Change, **fields: Any) -> None:
        """Bring a batch to all rooms, and let them show what has moved."""
        self.aggregates.publish(self.batch(*changes, **fields))
        for room in self.aggregates:
            room.refresh()
            for screen in room.owed():
                room.tell(screen)

    def count(self, room: Room | None = None, rows: Sequence[Sequence[Any]] = ()) -> None:
        """Count from an empty database, or one in which ``rows`` were found."""
        count = (room or self.room).listen()
        count.begin(Snapshot.of(self.xid + 1), self.now)
        if rows:
            count.load("transactions", rows)
        for part in ("successes", "failures") if room is not None and room is not self.room else ():
            count.load(part, [])
        count.finish()

    def watch(self, screen: FakeScreen | None = None) -> FakeScreen:
        """A screen that watches the payments."""
        screen = screen or FakeScreen()
        self.room.join(screen)
        return screen

    def expected(self) -> dict[str, Any]:
        """What a recount of the ledger gives."""
        return metrics_of(self.ledger.tables, SETTINGS["metrics"], self.now)


def told(screen: FakeScreen) -> list[Any]:
    """What a screen was shown since the last call: reasons of recounts, the metrics of updates."""
    messages = [jsontext.decode(text) for bundle in screen.bundles for text in bundle.messages]
    screen.bundles.clear()
    return [
        each["reason"] if each["type"] == "recount" else (each["complete"], each["data"]["metrics"])
        for each in messages
    ]


def numbers(screen: FakeScreen) -> list[Any]:
    """The same, with ``total_transactions_24h`` in the place of all metrics."""
    return [
        each if isinstance(each, str) else (each[0], each[1].get("total_transactions_24h"))
        for each in told(screen)
    ]


def test_until_it_is_counted_it_says_so() -> None:
    """Whoever joins before the first count is told that there are no numbers yet, and then gets them whole."""
    house = House()
    screen = house.watch()
    assert told(screen) == ["start"]
    house.count()
    house.publish()
    assert numbers(screen) == [(True, 0)]
    assert numbers(house.watch()) == [(True, 0)]


def test_what_the_count_shows_is_not_counted_again() -> None:
    """A change that the snapshot of the count sees is dropped, whenever it comes; any other one moves the numbers."""
    house = House()
    seen = house.pay(1)
    count = house.room.listen()
    early = house.pay(2)
    house.publish(early, seen, snapshot=Snapshot.of(1))  # while the snapshot is being taken
    count.begin(Snapshot.of(early.xid + 1, [early.xid]), house.now)
    late = house.pay(3)
    house.publish(late, snapshot=Snapshot.of(1))
    minute = int(house.now.timestamp()) // 60
    count.load("transactions", [(minute, "completed", 1, 1, Decimal("10.00"))])
    count.finish()
    screen = house.watch()
    house.publish(snapshot=Snapshot.of(1))
    assert told(screen) == ["start"]  # it may still be told of what it shows already
    house.publish(snapshot=Snapshot.of(3000))
    assert numbers(screen) == [(True, 3)]
    assert differences(house.room.values or {}, house.expected()) == []


def test_a_poll_of_before_the_count_does_not_settle_it() -> None:
    """A batch with the count's own snapshot but an earlier time is of an earlier minute; the next one will do."""
    house = House()
    house.count()
    house.publish(as_of=house.now - timedelta(seconds=1))
    assert house.room.values is None
    house.publish()
    assert house.room.values is not None


def test_changes_are_told_as_their_sum() -> None:
    """Between two looks a thousand payments are one message, and a screen that is up to date gets none."""
    house = House()
    house.count()
    screen = house.watch()
    house.publish()
    told(screen)
    for key in range(1000):
        house.aggregates.publish(house.batch(house.pay(key)))
    house.publish()
    assert numbers(screen) == [(False, 1000)]
    house.publish()
    assert told(screen) == []


def test_a_slow_screen_gets_one_message_when_it_has_read_the_last() -> None:
    """While it is busy nothing is queued for it; then it gets everything that changed in the meantime, at once."""
    house = House()
    house.count()
    slow, quick = house.watch(), house.watch()
    house.publish()
    told(slow), told(quick)
    slow.is_busy = True
    for key in range(3):
        house.publish(house.pay(key))
    assert numbers(quick) == [(False, 1), (False, 2), (False, 3)]
    assert told(slow) == []
    assert house.room.owed() == [slow]
    slow.is_busy = False
    house.room.tell(slow)
    ((complete, metrics),) = told(slow)
    assert not complete
    assert metrics["total_transactions_24h"] == 3
    assert metrics["total_revenue_24h"] == "30.00"


def test_all_who_are_owed_the_same_get_the_same_bytes() -> None:
    """A change is encoded once for all screens with the same version."""
    house = House()
    house.count()
    screens = [house.watch() for _ in range(3)]
    house.publish()
    house.publish(house.pay())
    assert len({id(screen.bundles[-1]) for screen in screens}) == 1


def test_a_screen_that_takes_no_more_is_forgotten() -> None:
    """What is full or gone is not told anything any more, and leaving twice is fine."""
    house = House()
    screen = house.watch()
    screen.full = True
    house.count()
    house.publish()
    assert house.room.screens == 0
    house.room.leave(screen)
    house.room.leave(screen)


def test_the_clock_moves_the_numbers_without_an_event() -> None:
    """When a minute begins, what left a window goes; a minute in which nothing changed is told as an empty change."""
    house = House()
    house.count()
    house.publish(house.pay())
    screen = house.watch()
    told(screen)
    house.now += timedelta(minutes=1)
    house.publish()
    assert told(screen) == [(False, {})]
    house.now += timedelta(hours=24)
    house.publish()
    ((_, metrics),) = told(screen)
    assert metrics["total_transactions_24h"] == 0
    assert "total_transactions_7d" not in metrics
    assert differences(house.room.values or {}, house.expected()) == []
    house.now += timedelta(seconds=1)
    house.publish()
    assert told(screen) == []


@pytest.mark.parametrize("how", ["truncate", "gap", "everything", "clock", "not captured", "interrupted"])
def test_what_cannot_be_followed_is_counted_anew(how: str) -> None:
    """Screens are told why, nothing is shown until the next count, and then everything is."""
    house = House()
    house.count()
    house.publish(house.pay())
    screen = house.watch()
    told(screen)
    reason = {"truncate": "truncated", "not captured": "row_unknown", "interrupted": "reconnected"}.get(
        how, how
    )
    if how == "truncate":
        house.publish(house.ledger.truncate(PAYMENTS))
    elif how == "gap":
        house.publish(gap=Gap(frozenset({PAYMENTS}), "gap"))
    elif how == "everything":
        house.publish(gap=Gap(None, "everything"))
    elif how == "clock":
        house.publish(as_of=house.now - timedelta(hours=1))
    elif how == "not captured":
        house.publish(replace(house.pay(), new=None, old=None))
    else:
        house.aggregates.recount("reconnected")
        house.publish()
    assert told(screen) == [reason]
    assert house.room.wanted
    house.publish(house.pay(2))
    assert told(screen) == []
    minute = int(house.now.timestamp()) // 60
    house.count(rows=[(minute, "completed", 5, 5, Decimal("50.00"))])
    house.publish()
    assert numbers(screen) == [(True, 5)]


def test_a_gap_elsewhere_does_not_matter() -> None:
    """Broken history of one aggregate's tables leaves the others as they are."""
    house = House()
    house.count()
    house.publish()
    house.publish(gap=Gap(frozenset({WEBHOOKS, "public.else"}), "gap"))
    assert not house.room.wanted
    assert house.aggregates["webhook_status"].reason == "gap"


def test_a_large_commit_is_shown_when_it_is_whole() -> None:
    """While parts of it stream, screens keep the numbers of before; the last part brings all of it at once."""
    house = House()
    house.count()
    house.publish()
    screen = house.watch()
    told(screen)
    parts = [house.pay(key) for key in range(3)]
    lagging = frozenset({PAYMENTS})
    for part in parts:
        house.publish(part, snapshot=None, lagging=lagging)
    house.publish(lagging=lagging, as_of=house.now + timedelta(minutes=5))
    assert told(screen) == []
    assert numbers(house.watch()) == [(True, 0)]
    house.publish()
    assert numbers(screen) == [(False, 3)]


def test_another_aggregates_large_commit_holds_nothing_back() -> None:
    """A table that an aggregate does not count does not keep its numbers back."""
    house = House()
    house.count()
    house.publish(house.pay(), lagging=frozenset({WEBHOOKS}))
    assert house.room.values is not None
    assert house.room.values["metrics"]["total_transactions_24h"] == 1


def test_where_nothing_changes_there_is_a_sign_of_life() -> None:
    """A touch says that the numbers hold for the present moment, or that they are still being counted; where something
    was said since the last touch it says nothing, and it never puts a new moment on old numbers."""
    house = House()
    screen = house.watch()
    told(screen)

    def touch() -> list[Any]:
        house.room.touch()
        for each in house.room.owed():
            house.room.tell(each)
        return told(screen)

    assert touch() == ["start"]
    house.count()
    house.publish()
    told(screen)
    assert touch() == []
    house.now += timedelta(seconds=5)
    house.aggregates.publish(house.batch())
    assert touch() == [(False, {})]
    assert house.room.as_of == house.now
    house.aggregates.publish(house.batch(house.pay()))
    ((_, metrics),) = touch()
    assert metrics["total_transactions_24h"] == 1
    house.now += timedelta(seconds=5)
    house.aggregates.publish(house.batch(house.pay(2), lagging=frozenset({PAYMENTS})))
    touch()
    assert touch() == [(False, {})]
    assert house.room.as_of == house.now - timedelta(seconds=5)


def test_a_reload_keeps_what_is_declared_as_before() -> None:
    """An aggregate that did not change keeps numbers and screens; one that did begins anew, without screens."""
    house = House()
    house.count()
    house.publish(house.pay())
    kept, screen = house.room, house.watch()
    house.aggregates.replace(
        compile_aggregates(SETTINGS | {"webhook_status": webhook_settings(unhealthy_failures=1)})
    )
    assert house.aggregates["metrics"] is kept
    assert house.aggregates["webhook_status"].wanted
    house.publish(house.pay(2))
    assert numbers(screen) == [(True, 1), (False, 2)]
    house.aggregates.replace(compile_aggregates({"metrics": payment_settings(stuck_minutes=5)}))
    assert "webhook_status" not in house.aggregates
    assert house.aggregates["metrics"].screens == 0


def test_an_audit_goes_back_to_the_snapshot_it_was_made_under() -> None:
    """What was published after the snapshot is taken out for the comparison and put in again."""
    house = House()
    house.count()
    house.publish(house.pay(1))
    audit = house.room.audit()
    before = house.pay(2)
    snapshot, asked = Snapshot.of(house.xid + 1), house.now
    expected = house.expected()
    assert house.room.values_at(audit, snapshot, asked) is None  # not published yet
    house.publish(before, house.pay(3), house.pay(1, "refunded"))
    now = house.expected()
    values = house.room.values_at(audit, snapshot, asked)
    assert values is not None
    assert differences(values, expected) == []
    assert {each.name for each in differences(values, now)} >= {"metrics.total_transactions_24h"}
    assert differences(house.room.values or {}, now) == []
    house.room.close(audit)


def test_an_audit_does_not_outlive_a_recount_or_a_minute() -> None:
    """What was counted anew, or has moved on a minute, cannot be gone back to."""
    house = House()
    house.count()
    house.publish()
    audit, snapshot, asked = house.room.audit(), Snapshot.of(house.xid + 1), house.now
    house.now += timedelta(minutes=1)
    house.publish()
    assert house.room.values_at(audit, snapshot, asked) is None
    assert house.room.values_at(audit, snapshot, house.now) is not None
    house.room.recount("failed")
    house.count()
    house.publish()
    assert house.room.values_at(audit, snapshot, house.now) is None


def test_times_of_the_database_are_shown_in_utc() -> None:
    """Whatever zone the driver gave a moment in, clients get it with a Z."""
    house = House()
    house.now = datetime.fromisoformat("2026-05-04T14:30:15+02:00")
    house.count()
    house.publish()
    screen = house.watch()
    message = jsontext.decode(screen.bundles[0].messages[0])
    assert message["as_of"] == "2026-05-04T12:30:15Z"
