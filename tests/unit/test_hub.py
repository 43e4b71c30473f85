"""The hub: one match per group, one message for all, one bundle per connection."""

from __future__ import annotations

from relay.capture.snapshot import Snapshot
from tests.support.routing import MEMBERS, PAYMENTS, change, image, told, view
from tests.support.stage import PAYMENT, REFUND, SCOPE, Stage, created, inserts


def test_all_of_a_batch_leaves_in_one_bundle_with_a_checkpoint() -> None:
    """One connection gets one bundle per batch: its messages in batch order over all channels, then the checkpoint."""
    stage = Stage()
    outlet, _ = stage.subscriber(view(REFUND), view(PAYMENT))
    stage.publish(*inserts(1), *inserts(2, source="public.refund"), *inserts(3))
    assert len(outlet.bundles) == 1
    assert told(outlet.messages) == created(1, 2, 3)
    assert outlet.messages[-1]["cursor"] == "cursor"


def test_who_is_owed_the_same_shares_one_bundle() -> None:
    """Subscribers of equal views get the very same bundle object, framed once for all."""
    stage = Stage()
    alike = [stage.subscriber(view(PAYMENT, {"status": "pending"}))[0] for _ in range(5)]
    other, _ = stage.subscriber(view(PAYMENT))
    stage.publish(*inserts(1, 2))
    assert len({id(outlet.bundles[0]) for outlet in alike}) == 1
    assert other.bundles[0] is not alike[0].bundles[0]
    assert other.bundles[0].messages[0] is alike[0].bundles[0].messages[0]


def test_only_who_received_something_gets_a_checkpoint_with_a_batch() -> None:
    """A batch that does not concern a subscriber costs it nothing; its checkpoint comes with the heartbeat."""
    stage = Stage()
    outlet, subscriber = stage.subscriber(view(PAYMENT, {"status": "failed"}))
    stage.publish(*inserts(1))
    assert outlet.bundles == []
    stage.hub.heartbeat([subscriber])
    assert told(outlet.messages) == [("checkpoint",)]


def test_a_heartbeat_is_one_bundle_for_all() -> None:
    """Everybody who may have the live position gets the same bundle; before the first batch there is none."""
    stage = Stage()
    outlets = [stage.subscriber(view(PAYMENT)) for _ in range(3)]
    stage.hub.heartbeat([subscriber for _, subscriber in outlets])
    assert outlets[0][0].bundles == []
    stage.publish()
    stage.hub.heartbeat([subscriber for _, subscriber in outlets])
    assert len({id(outlet.bundles[0]) for outlet, _ in outlets}) == 1


def test_cost_grows_with_matches_not_with_subscriptions() -> None:
    """With a thousand different filters on equality, an event is shown to the one group it can concern."""
    stage = Stage()
    for n in range(1000):
        stage.subscriber(view(PAYMENT, {"note": f"note {n}"}))
    stage.publish(*(change(n, "insert", image(n, note=f"note {n}")) for n in range(1, 11)))
    assert stage.hub.matched == 10
    stage.publish(change(11, "update", image(1, note="note 2"), image(1, note="note 1")))
    assert stage.hub.matched == 12


def test_a_group_is_asked_once_however_many_subscribe() -> None:
    """A thousand subscribers of one view cost one match."""
    stage = Stage()
    for _ in range(1000):
        stage.subscriber(view(PAYMENT, {"note": "x"}))
    stage.publish(change(1, "insert", image(1, note="x")))
    assert stage.hub.matched == 1
    assert (stage.hub.groups, stage.hub.subscriptions) == (1, 1000)


def test_a_full_outlet_is_forgotten_and_nobody_waits_for_it() -> None:
    """An outlet that refuses a bundle is detached; the others get theirs."""
    stage = Stage()
    slow, _ = stage.subscriber(view(PAYMENT))
    quick, _ = stage.subscriber(view(PAYMENT))
    slow.full = True
    stage.publish(*inserts(1))
    stage.publish(*inserts(2))
    assert len(stage.hub.subscribers) == 1
    assert told(quick.messages) == created(1) + created(2)


def test_joining_misses_nothing_and_repeats_nothing() -> None:
    """Live events wait while a snapshot is taken; those it shows are dropped by xid, the others follow it."""
    stage = Stage()
    outlet, subscriber = stage.subscriber()
    subscription = stage.hub.join(subscriber, view(PAYMENT))
    stage.publish(*inserts(1, 2))
    assert outlet.bundles == []
    held = stage.hub.release(subscription, floors=(Snapshot.of(1003, [1002]),))
    assert held is not None
    assert [b'"id":"2"' in text for text in held] == [True]
    stage.publish(*inserts(3))
    assert told(outlet.messages) == created(3)


def test_what_a_snapshot_ahead_of_the_stream_shows_is_not_sent_again() -> None:
    """A live event that the snapshot saw already is dropped, until the stream has reached the snapshot."""
    stage = Stage()
    outlet, subscriber = stage.subscriber()
    stage.publish(xmax=1001)
    subscription = stage.hub.join(subscriber, view(PAYMENT))
    assert stage.hub.release(subscription, floors=(Snapshot.of(1003),)) == []
    stage.publish(*inserts(1), xmax=1002)
    assert outlet.bundles == []
    stage.publish(*inserts(2, 3), xmax=1004)
    assert told(outlet.messages) == created(3)
    assert subscription.floors == ()
    stage.publish(change(4, "insert", image(4), xid=1000), xmax=1005)
    assert told(outlet.messages) == created(3) + created(4)


def test_floors_outlast_a_large_commit_that_is_still_streaming() -> None:
    """While a source lags, the position says nothing about it, and its floors stay."""
    stage = Stage()
    outlet, subscriber = stage.subscriber()
    stage.publish(xmax=1001)
    subscription = stage.hub.join(subscriber, view(PAYMENT))
    stage.hub.release(subscription, floors=(Snapshot.of(1002),))
    lagging = frozenset({PAYMENTS})
    stage.publish(xmax=1005, lagging=lagging)
    stage.publish(change(1, "insert", image(1), xid=1001), xmax=None, lagging=lagging)
    assert outlet.bundles == []
    stage.publish(xmax=1006)
    assert subscription.floors == ()


def test_an_overflowing_hold_is_not_whole() -> None:
    """Past the limit nothing is kept: release refuses, and holds on for the next snapshot."""
    stage = Stage(held=2)
    _, subscriber = stage.subscriber()
    subscription = stage.hub.join(subscriber, view(PAYMENT))
    stage.publish(*inserts(1, 2, 3))
    assert stage.hub.release(subscription, floors=(Snapshot.of(9999),)) is None
    stage.publish(*inserts(4))
    held = stage.hub.release(subscription, floors=(Snapshot.of(1004),))
    assert held is not None
    assert len(held) == 1


def test_held_messages_can_be_taken_in_portions() -> None:
    """take hands over what is held and keeps holding; release makes live."""
    stage = Stage()
    outlet, subscriber = stage.subscriber()
    subscription = stage.hub.join(subscriber, view(PAYMENT))
    stage.publish(*inserts(1))
    assert len(stage.hub.take(subscription) or []) == 1
    stage.publish(*inserts(2))
    assert outlet.bundles == []
    assert len(stage.hub.release(subscription) or []) == 1
    assert stage.hub.take(subscription) == []
    stage.publish(*inserts(3))
    assert told(outlet.messages) == created(3)


def test_a_new_subscription_replaces_the_old_one_of_its_channel() -> None:
    """From the moment of joining again, the old filter is silent and its subscription gone."""
    stage = Stage()
    outlet, subscriber = stage.subscriber(view(PAYMENT))
    old = subscriber.subscriptions["payments"]
    new = stage.hub.join(subscriber, view(PAYMENT, {"status": "failed"}))
    stage.publish(*inserts(1))
    assert outlet.bundles == []
    assert old.gone
    assert stage.hub.release(old) is None
    assert stage.hub.release(new) == []
    assert (stage.hub.groups, stage.hub.subscriptions) == (1, 1)


def test_no_checkpoint_while_anything_is_on_hold() -> None:
    """One unfinished channel keeps the whole connection from a checkpoint; other channels' events go on."""
    stage = Stage()
    outlet, subscriber = stage.subscriber(view(PAYMENT))
    subscription = stage.hub.join(subscriber, view(REFUND))
    stage.publish(*inserts(1))
    stage.hub.heartbeat([subscriber])
    assert told(outlet.messages) == created(1)[:-1]
    assert stage.hub.checkpoint_for(subscriber) is None
    stage.hub.release(subscription)
    assert stage.hub.checkpoint_for(subscriber) is not None
    stage.hub.join(subscriber, view(REFUND))
    stage.hub.leave(subscriber, "refunds")
    assert stage.hub.checkpoint_for(subscriber) is not None


def test_a_part_of_a_large_commit_brings_no_checkpoint() -> None:
    """In the middle of a commit there is no position that anybody may keep."""
    stage = Stage()
    outlet, _ = stage.subscriber(view(PAYMENT))
    stage.publish(*inserts(1), xmax=None, lagging=frozenset({PAYMENTS}))
    assert told(outlet.messages) == created(1)[:-1]
    assert stage.hub.position is None


def test_checkpoints_do_not_speak_for_a_lagging_source() -> None:
    """Whoever depends on a lagging source keeps its last checkpoint, if it has one; all others move on.

    One from before the large commit would not do for a newcomer: it may have been sent more than that speaks of.
    """
    stage = Stage()
    stage.publish(cursor="before")
    kept, keeper = stage.subscriber(view(PAYMENT))
    other, bystander = stage.subscriber(view(REFUND))
    stage.hub.heartbeat([keeper])
    late, latecomer = stage.subscriber(view(PAYMENT))
    scoped, tenant = stage.subscriber(view(REFUND, None, SCOPE))
    stage.publish(*inserts(1), cursor="ahead", lagging=frozenset({PAYMENTS, MEMBERS}))
    stage.hub.heartbeat([keeper, bystander, latecomer, tenant])
    assert [each["cursor"] for each in kept.messages if each["type"] == "checkpoint"] == ["before", "before"]
    assert other.messages[-1]["cursor"] == "ahead"
    assert not [each for each in late.messages + scoped.messages if each["type"] == "checkpoint"]
    stage.publish(cursor="done")
    stage.hub.heartbeat([keeper, latecomer])
    assert kept.messages[-1]["cursor"] == late.messages[-1]["cursor"] == "done"


def test_where_there_is_no_checkpoint_there_is_a_sign_of_life() -> None:
    """Whoever subscribed in the middle of a large commit would take minutes of silence for a dead connection."""
    stage = Stage()
    stage.publish(lagging=frozenset({PAYMENTS}))
    outlet, subscriber = stage.subscriber(view(PAYMENT))
    idle, bystander = stage.subscriber()
    stage.hub.heartbeat([subscriber, bystander], alive=b'{"type":"pong"}')
    assert [each["type"] for each in outlet.messages] == ["pong"]
    assert idle.messages == []
    stage.publish()
    stage.hub.heartbeat([subscriber], alive=b'{"type":"pong"}')
    assert [each["type"] for each in outlet.messages] == ["pong", "checkpoint"]


def test_a_checkpoint_never_speaks_of_less_than_was_sent() -> None:
    """A snapshot that shows more than has been published brings its checkpoint once as much is published.

    A client lets go of the ids it has seen with each new checkpoint: with one of before, they would come again.
    """
    stage = Stage()
    stage.publish(xmax=10)
    outlet, subscriber = stage.subscriber()
    subscription = stage.hub.join(subscriber, view(PAYMENT))
    stage.hub.release(subscription, floors=(Snapshot.of(20),))
    stage.hub.heartbeat([subscriber])
    stage.publish(change(1, "insert", image(1), xid=12), xmax=15)
    stage.publish(change(2, "insert", image(2), xid=21), snapshot=Snapshot.of(22, [18]))
    assert [each["type"] for each in outlet.messages] == ["payment_update"]
    stage.publish(xmax=23, cursor="caught up")
    assert outlet.messages[-1]["cursor"] == "caught up"


def test_a_subscription_knows_when_it_is_over() -> None:
    """Holding or releasing a subscription that was left changes nothing."""
    stage = Stage()
    _, subscriber = stage.subscriber()
    subscription = stage.hub.join(subscriber, view(PAYMENT))
    stage.hub.leave(subscriber, "payments")
    stage.hub.hold(subscription)
    assert stage.hub.release(subscription) is None
    assert stage.hub.take(subscription) is None
    assert subscriber.holds == 0


def test_no_checkpoint_before_the_first_subscription() -> None:
    """A client that is about to resume would take it for its own, and be cut before it was told what it missed."""
    stage = Stage()
    stage.publish()
    outlet, subscriber = stage.subscriber()
    stage.hub.heartbeat([subscriber])
    assert outlet.messages == []
    stage.hub.release(stage.hub.join(subscriber, view(PAYMENT)))
    stage.hub.heartbeat([subscriber])
    assert [each["type"] for each in outlet.messages] == ["checkpoint"]
