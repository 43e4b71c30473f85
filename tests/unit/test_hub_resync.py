"""The hub when what was sent is void: TRUNCATE, gaps, changed scopes, lost sessions, reloads."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from relay import jsontext
from relay.capture.batch import Gap
from relay.capture.snapshot import Snapshot
from relay.errors import ResumeRefused
from tests.support.routing import MEMBERS, PAYMENTS, batch, change, channel, image, told, view
from tests.support.stage import MEMBER, PAYMENT, REFUND, SCOPE, Stage, created, inserts, resynced

NOTICED = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_truncate_is_a_resync_before_rows_of_the_same_batch() -> None:
    """TRUNCATE voids its channels; what follows in the batch waits for the snapshot."""
    stage = Stage()
    outlet, subscriber = stage.subscriber(view(PAYMENT), view(REFUND))
    stage.publish(*inserts(1, source="public.refund"), change(2, "truncate"), *inserts(3))
    assert resynced(outlet) == [(["payments"], "truncated")]
    assert outlet.order == ["resync", "bundle"]
    assert told(outlet.messages) == [("1", "created", None)]
    held = stage.hub.release(subscriber.subscriptions["payments"], floors=(Snapshot.of(1003),))
    assert held is not None
    assert len(held) == 1


def test_a_truncate_that_the_snapshot_shows_is_over() -> None:
    """A snapshot taken after TRUNCATE needs no other one, be it on its way or sent already."""
    stage = Stage()
    outlet, subscriber = stage.subscriber()
    floors = (Snapshot.of(1002),)
    before = stage.hub.join(subscriber, view(PAYMENT))
    stage.publish(change(1, "truncate"), xmax=1001)
    assert stage.hub.release(before, floors=floors) == []
    again = stage.hub.join(subscriber, view(PAYMENT))
    stage.hub.release(again, floors=floors)
    stage.publish(change(1, "truncate"), xmax=1002)
    assert outlet.resyncs == []


def test_a_truncate_that_the_snapshot_does_not_show_voids_it() -> None:
    """A snapshot from before TRUNCATE is worth nothing: release asks for another one."""
    stage = Stage()
    _, subscriber = stage.subscriber()
    subscription = stage.hub.join(subscriber, view(PAYMENT))
    stage.publish(change(1, "truncate"))
    assert stage.hub.release(subscription, floors=(Snapshot.of(1001),)) is None
    assert stage.hub.release(subscription, floors=(Snapshot.of(1002),)) == []


def test_a_gap_voids_what_depends_on_its_sources() -> None:
    """A gap in a table's history is a resync for its channels; a gap in all is one for everybody, told once each."""
    stage = Stage()
    outlet, _ = stage.subscriber(view(PAYMENT), view(REFUND))
    other, _ = stage.subscriber(view(REFUND))
    stage.publish(*inserts(1), gap=Gap(frozenset({PAYMENTS}), "capture_changed"))
    assert resynced(outlet) == [(["payments"], "capture_changed")]
    assert outlet.bundles == other.bundles == []
    stage.publish(gap=Gap(None, "epoch"))
    assert resynced(outlet)[1:] == [(["refunds"], "epoch")]
    assert resynced(other) == [(["refunds"], "epoch")]


def test_a_gap_voids_snapshots_on_their_way() -> None:
    """Whatever a snapshot shows that was begun before a gap, it is taken again."""
    stage = Stage()
    outlet, subscriber = stage.subscriber()
    subscription = stage.hub.join(subscriber, view(PAYMENT))
    stage.publish(gap=Gap(None, "epoch"))
    assert stage.hub.release(subscription, floors=(Snapshot.of(9999),)) is None
    assert outlet.resyncs == []


def test_a_changed_scope_voids_those_it_scopes() -> None:
    """A change of a look-up that a policy uses is a resync for the groups it scopes and for nobody else."""
    stage = Stage()
    scoped, subscriber = stage.subscriber(view(PAYMENT, None, SCOPE))
    unscoped, _ = stage.subscriber(view(PAYMENT))
    by_status, _ = stage.subscriber(view(PAYMENT, None, {"status": {"eq": "pending"}}))
    stage.publish(*inserts(1), change(2, "insert", MEMBER, source=MEMBERS))
    assert resynced(scoped) == [(["payments"], "scope_changed")]
    assert scoped.order == ["resync"]
    assert unscoped.resyncs == by_status.resyncs == []
    assert told(unscoped.messages) == created(1)
    stage.publish(change(3, "insert", MEMBER, source=MEMBERS))
    # Whatever the snapshot sees: its rows may have been chosen by the look-ups of before.
    assert stage.hub.release(subscriber.subscriptions["payments"], floors=(Snapshot.of(9999),)) is None


def test_a_row_that_may_have_been_theirs_is_a_resync() -> None:
    """If it is unknown whether a row was a scoped subscriber's, it starts over; the unscoped are told."""
    stage = Stage()
    scoped, _ = stage.subscriber(view(PAYMENT, None, SCOPE))
    unscoped, _ = stage.subscriber(view(PAYMENT))
    stage.publish(*inserts(1), change(2, "delete", key={"id": 7}))
    assert resynced(scoped) == [(["payments"], "row_unknown")]
    assert scoped.bundles == []
    assert told(unscoped.messages) == [("1", "created", None), ("2", "deleted", None), ("checkpoint",)]


def test_quarantined_rows_are_announced_where_there_is_no_scope() -> None:
    """withheld reaches every unscoped subscriber of the channel, whatever its filter, and no scoped one."""
    stage = Stage()
    filtered, _ = stage.subscriber(view(PAYMENT, {"status": "failed"}))
    scoped, _ = stage.subscriber(view(PAYMENT, None, SCOPE))
    stage.publish(change(1, "insert", image(amount="bad")))
    assert told(filtered.messages) == [("withheld",), ("checkpoint",)]
    assert scoped.bundles == []


def test_lost_sessions_void_what_was_built_on_their_snapshots() -> None:
    """After a crash ids may be reused: floors and snapshots on their way are given up, live subscriptions stay."""
    stage = Stage()
    stage.publish(xmax=1001)
    floored, one = stage.subscriber()
    stage.hub.release(stage.hub.join(one, view(PAYMENT)), floors=(Snapshot.of(1005),))
    _, two = stage.subscriber()
    fetching = stage.hub.join(two, view(PAYMENT))
    live, _ = stage.subscriber(view(PAYMENT))
    turn = stage.hub.turn
    stage.hub.interrupted()
    assert stage.hub.turn > turn  # a snapshot that was begun before is not shared by who asks from now on
    assert resynced(floored) == [(["payments"], "reconnected")]
    assert stage.hub.release(fetching, floors=(Snapshot.of(1005),)) is None
    assert live.resyncs == []


def test_another_mapping_makes_its_subscriptions_void() -> None:
    """After a reload, subscriptions to changed channels are gone and keep checkpoints back until renewed."""
    stage = Stage()
    outlet, subscriber = stage.subscriber(view(PAYMENT), view(REFUND))
    old = asyncio.run(stage.preparer.prepare(inserts(1)))
    changed = channel(status="")
    stage.hub.reconfigure(
        {"payments": changed, "refunds": channel("refunds", table="public.refund", message="refund_update")}
    )
    assert subscriber.subscriptions["payments"].gone
    assert not subscriber.subscriptions["refunds"].gone
    assert stage.hub.checkpoint_for(subscriber) is None
    subscription = stage.hub.join(subscriber, view(changed))
    # Prepared under the old mapping, published under the new one: it belongs to nobody any more.
    stage.hub.publish(old, batch(inserts(1)))
    assert stage.hub.release(subscription) == []
    assert outlet.bundles == []
    assert stage.hub.checkpoint_for(subscriber) is not None
    with pytest.raises(ResumeRefused):
        list(stage.hub.render(view(changed), old))


def test_a_channel_that_is_gone_cannot_be_joined() -> None:
    """Joining a channel that a reload removed is a KeyError; leaving it is fine."""
    stage = Stage()
    _, subscriber = stage.subscriber(view(PAYMENT))
    stage.hub.reconfigure({})
    with pytest.raises(KeyError):
        stage.hub.join(subscriber, view(REFUND))
    stage.hub.leave(subscriber, "payments")
    stage.hub.detach(subscriber)
    stage.hub.detach(subscriber)
    assert subscriber.holds == 0
    assert stage.hub.subscriptions == 0


def test_news_reach_everybody() -> None:
    """A status of the capture side goes to every connection, subscribed or not."""
    stage = Stage()
    outlets = [stage.subscriber()[0], stage.subscriber(view(PAYMENT))[0]]
    stage.hub.capture_status(b'{"type":"capture_status"}')
    assert [told(outlet.messages) for outlet in outlets] == [[("capture_status",)]] * 2


def test_while_a_table_is_not_captured_whole_no_later_moment_is_told() -> None:
    """The moment of checkpoints stays where that was noticed, while their cursor moves on; then it goes on, too."""
    stage = Stage()
    _, subscriber = stage.subscriber(view(PAYMENT))
    moments = []
    for second, degraded in enumerate([None, NOTICED, NOTICED, None]):
        stage.hub.capture_status(b"{}", degraded=degraded)
        stage.publish(as_of=NOTICED + timedelta(seconds=second), cursor=f"c{second}")
        frame = jsontext.decode(stage.hub.checkpoint_for(subscriber) or b"")
        moments.append((frame["cursor"], datetime.fromisoformat(frame["as_of"]) - NOTICED))
    seconds = [timedelta(seconds=number) for number in (0, 0, 0, 3)]
    assert moments == [(f"c{number}", late) for number, late in enumerate(seconds)]


@pytest.mark.parametrize(
    ("scope", "concerned"),
    [
        ({"school_ids": {"overlaps": [10]}}, True),
        ({"school_ids": {"overlaps": [11, 30]}}, True),
        ({"school_ids": {"overlaps": [20, 30]}}, False),
        ({"school_ids": {"overlaps": []}}, False),
        ({"school_ids": {"overlaps": [20]}, "status": {"eq": "pending"}}, False),
        ({"school_ids": {"overlaps": [20], "is_null": False}}, True),
        ({"school_ids": {"contains": 20}}, True),
        ({"school_ids": {"is_null": True}}, True),
    ],
)
def test_a_changed_scope_concerns_those_who_see_what_changed(scope: Any, concerned: bool) -> None:
    """A student who goes from one school to another is a resync for these two; others are not disturbed."""
    stage = Stage()
    outlet, _ = stage.subscriber(view(PAYMENT, None, scope))
    stage.publish(change(1, "update", MEMBER | {"school_id": 11}, MEMBER, source=MEMBERS))
    assert resynced(outlet) == ([(["payments"], "scope_changed")] if concerned else [])


def test_changes_of_one_transaction_concern_all_that_they_touch() -> None:
    """Two students who change schools together concern the schools of both; one whose schools are unknown, all."""
    stage = Stage()
    scopes = [{"school_ids": {"overlaps": [school]}} for school in (10, 11, 20, 21, 30)]
    outlets = [stage.subscriber(view(PAYMENT, None, scope))[0] for scope in scopes]
    other = {"id": 51, "user_id": 2, "school_id": 20}
    moves = [(MEMBER | {"school_id": 11}, MEMBER), (other | {"school_id": 21}, other)]
    stage.publish(*(change(n, "update", *rows, xid=1001, source=MEMBERS) for n, rows in enumerate(moves, 1)))
    assert [bool(resynced(each)) for each in outlets] == [True, True, True, True, False]
    stage.publish(
        change(3, "update", MEMBER, MEMBER | {"school_id": 11}, xid=1002, source=MEMBERS),
        change(4, "update", key={"id": 51}, xid=1002, source=MEMBERS),
    )
    assert bool(resynced(outlets[-1]))
