"""Changes prepared for channels: folded, looked up, validated."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from relay.capture.change import Change
from relay.errors import CaptureDegraded, DatabaseError, LookUpRefused
from relay.routing.channel import Channel
from relay.routing.event import Prepared, ScopeChange, Truncation
from relay.routing.identity import identity
from relay.routing.prepare import Preparer
from tests.support.routing import MEMBERS, PAYMENTS, TENANT, Lookups, change, channel, image

PAID_BY = "SELECT p.id, s.school_ids FROM payment p JOIN s ON s.id = p.student_id WHERE p.id = ANY(%(keys)s)"
MEMBER = {"id": 50, "user_id": 1, "school_id": 10}


def preparer(source: Lookups, *channels: Channel, cache: int = 1000) -> Preparer:
    """A preparer for these channels, or the payment channel."""
    return Preparer({each.name: each for each in channels or (channel(),)}, source, cache)


def shapes(prepared: Prepared) -> list[tuple[str, str, bool, bool]]:
    """(id, op, is new known, is old known) of each event."""
    return [(each.id, each.op, each.new is not None, each.old is not None) for each in prepared.events]


async def test_rows_are_validated_and_enriched() -> None:
    """An event's rows hold every field, hidden ones too, with what look-ups found."""
    prepared = await preparer(Lookups({1: [10]})).prepare([change(1, "insert", image(status="completed"))])
    (event,) = prepared.events
    assert event.new == {
        "id": "1",
        "amount": Decimal("150.00"),
        "currency": "eur",
        "status": "succeeded",
        "note": None,
        "school_ids": [10],
    }
    assert identity(channel(), event) == {"id": "1"}


async def test_others_have_their_turn_while_much_is_prepared() -> None:
    """A replay of thousands of rows is made in pieces, between which whoever else is ready goes on."""
    turns = 0

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(somebody_else())
    await preparer(Lookups({1: [10]})).prepare([change(n, "insert", image(n)) for n in range(1, 5001)])
    other.cancel()
    assert turns >= 10


async def test_one_query_per_batch_and_none_for_what_is_known() -> None:
    """All keys of a batch are asked at once, old rows' included; known keys and NULL are not asked at all."""
    source = Lookups({1: [10], 2: [20]})
    prepare = preparer(source).prepare
    await prepare(
        [change(1, "insert", image(1)), change(2, "update", image(2, student_id=2), image(2, student_id=3))]
    )
    await prepare(
        [change(3, "insert", image(4, student_id=3)), change(4, "insert", image(5, student_id=None))]
    )
    assert source.asked == [[1, 2, 3]]


async def test_a_batch_has_its_look_ups_whatever_the_cache_holds() -> None:
    """A batch with more keys than the cache takes is still looked up whole."""
    source = Lookups({n: [n] for n in range(20)})
    prepared = await preparer(source, cache=3).prepare(
        [change(n + 1, "insert", image(n, student_id=n)) for n in range(20)]
    )
    assert [each.new["school_ids"] for each in prepared.events if each.new] == [[n] for n in range(20)]


async def test_a_change_in_a_table_that_is_read_voids_results_before_the_batch_is_looked_up() -> None:
    """Rows see look-ups as they are now, whichever comes first in the batch, and the scope change is announced."""
    source = Lookups({1: [10]})
    prepare = preparer(source).prepare
    await prepare([change(1, "insert", image())])
    source.schools[1] = [11]
    prepared = await prepare(
        [
            change(2, "update", image(note="x"), image()),
            change(3, "update", MEMBER | {"school_id": 11}, MEMBER, source=MEMBERS),
        ]
    )
    assert prepared.events[0].new is not None
    assert prepared.events[0].new["school_ids"] == [11]
    touched = {"school_ids": frozenset({10, 11})}
    assert prepared.scope_changes == (ScopeChange("payments", "tenant", 1003, touched),)


async def test_deleted_rows_use_what_was_known_of_them() -> None:
    """A row deleted together with what its look-up reads is told to those who saw it."""
    source = Lookups({1: [10]})
    prepare = preparer(source).prepare
    await prepare([change(1, "insert", image())])
    del source.schools[1]
    prepared = await prepare(
        [change(2, "delete", None, MEMBER, source=MEMBERS), change(3, "delete", None, image())]
    )
    assert prepared.events[0].old is not None
    assert prepared.events[0].old["school_ids"] == [10]


@pytest.mark.parametrize("reads", [True, False])
async def test_a_deleted_row_nobody_knew_of_is_unknown_unless_reads_would_have_told(reads: bool) -> None:
    """Nothing found now proves that there was nothing only where the look-up declares what it reads."""
    lookups = {"tenant": TENANT if reads else {key: TENANT[key] for key in ("key", "sql")}}
    prepared = await preparer(Lookups(), channel(lookups=lookups)).prepare(
        [change(1, "delete", None, image())]
    )
    assert (prepared.events[0].old is not None) is reads
    assert prepared.events[0].lost is not reads
    assert not prepared.events[0].fault


async def test_a_row_that_does_not_validate_is_quarantined_and_others_go_on() -> None:
    """A bad row becomes an event without rows, named by event id and field in the faults, never by content."""
    prepared = await preparer(Lookups()).prepare(
        [change(1, "insert", image(1, amount="4242 4242")), change(2, "insert", image(2))]
    )
    assert shapes(prepared) == [("1", "insert", False, False), ("2", "insert", True, False)]
    (fault,) = prepared.faults
    assert (fault.channel, fault.event_id) == ("payments", "1")
    assert "amount" in fault.reason
    assert "4242" not in fault.reason


async def test_an_event_without_images_is_quarantined() -> None:
    """A change whose row could not be captured is a fault that points to relay.watched; its key still names it."""
    prepared = await preparer(Lookups()).prepare(
        [change(1, "update", key={"id": 7}), change(2, "delete", key={"id": 8})]
    )
    assert [each.quarantined for each in prepared.events] == [True, True]
    assert identity(channel(), prepared.events[1]) == {"id": "8"}
    assert "relay.watched" in prepared.faults[0].reason


async def test_an_old_row_that_does_not_validate_is_only_unknown() -> None:
    """A row that is good now is shown, whatever it was before."""
    prepared = await preparer(Lookups()).prepare([change(1, "update", image(), image(amount="bad"))])
    assert shapes(prepared) == [("1", "update", True, False)]
    assert prepared.faults == ()
    assert not prepared.events[0].lost


async def test_a_failing_look_up_quarantines_its_rows_and_nothing_else() -> None:
    """The stream goes on: rows that need the look-up are withheld, other channels' rows are not."""
    source = Lookups()
    source.error = DatabaseError("column gone does not exist")
    plain = channel("plain", fields={"id": {"column": "id"}}, lookups={}, status="")
    prepared = await preparer(source, channel(), plain).prepare([change(1, "insert", image())])
    assert [(each.channel, each.quarantined) for each in prepared.events] == [
        ("payments", True),
        ("plain", False),
    ]
    assert any("look-up tenant failed" in fault.reason for fault in prepared.faults)
    removed = await preparer(source).prepare([change(2, "delete", None, image())])
    assert removed.events[0].lost
    source.error = None
    again = await preparer(source).prepare([change(2, "insert", image())])
    assert not again.events[0].quarantined


class Choosy(Lookups):
    """Look-ups that fail for some keys."""

    bad: frozenset[int] = frozenset()

    async def look_up(self, sql: str, keys: Any) -> dict[Any, dict[str, Any]]:
        found = await super().look_up(sql, keys)
        if not self.bad.isdisjoint(keys):
            raise LookUpRefused("a look-up failed: InvalidTextRepresentation (22P02)")
        return found


async def test_a_key_that_a_look_up_cannot_take_costs_its_own_row_alone() -> None:
    """Rows beside it in a batch or a snapshot are shown; a look-up that refuses every key is not asked without end."""
    source = Choosy({student: [student] for student in range(100)})
    source.bad = frozenset({13, 77})
    payments = channel()
    prepare = preparer(source, payments)
    prepared = await prepare.prepare([change(n, "insert", image(n, student_id=n)) for n in range(100)])
    assert {int(each.id) for each in prepared.events if each.quarantined} == source.bad
    rows = await prepare.prepare_rows(payments, [image(n, student_id=n) for n in (12, 13, 14)])
    assert ([row["id"] for row in rows.rows], len(rows.faults)) == (["12", "14"], 1)
    source.bad, source.asked = frozenset(range(100, 2000)), []
    prepared = await prepare.prepare([change(n, "insert", image(n, student_id=n)) for n in range(100, 2000)])
    assert all(each.quarantined for each in prepared.events)
    assert len(source.asked) < 100


async def test_a_lost_connection_passes_through() -> None:
    """Without a database the batch is not prepared at all: it will be read again."""
    source = Lookups()
    source.error = CaptureDegraded("gone")
    with pytest.raises(CaptureDegraded):
        await preparer(source).prepare([change(1, "insert", image())])


async def test_a_batch_that_comes_again_announces_its_scope_changes() -> None:
    """What a change voided stays announced when the batch could not be prepared to its end the first time."""
    source = Lookups({1: [10]})
    by_payment = {"owner": TENANT | {"key": "id", "sql": PAID_BY, "reads": {PAYMENTS: ["student_id"]}}}
    fields = {"id": {"column": "id"}, "schools": {"lookup": "owner.school_ids", "hidden": True}}
    owned = channel("owned", table="public.dispute", fields=fields, lookups=by_payment, status="")
    prepare = preparer(source, owned).prepare
    await prepare([change(1, "insert", {"id": 7}, source="public.dispute")])
    changes = [change(2, "insert", image(7)), change(3, "insert", {"id": 8}, source="public.dispute")]
    source.error = CaptureDegraded("gone")
    with pytest.raises(CaptureDegraded):
        await prepare(changes)
    source.error = None
    assert (await prepare(changes)).scope_changes == (ScopeChange("owned", "owner", 1002),)
    assert (await prepare([change(4, "insert", image(9))])).scope_changes == ()


async def test_a_replay_that_was_broken_off_announces_nothing_to_others() -> None:
    """Only a batch comes again; what a replay found void is forgotten with it."""
    source = Lookups({1: [10]})
    prepare = preparer(source, channel())
    moved = [change(2, "update", MEMBER | {"school_id": 11}, MEMBER, source=MEMBERS)]
    source.error = CaptureDegraded("gone")
    with pytest.raises(CaptureDegraded):
        await prepare.prepare([*moved, change(3, "insert", image())], replayed=True)
    source.error = None
    again = change(4, "insert", image(), xid=moved[0].xid)
    assert (await prepare.prepare([again])).scope_changes == ()


async def test_what_a_bulk_of_changes_announces_is_asked_for_at_once() -> None:
    """However many links a batch has, their rows are one query; each link is news for its own rows."""

    class Linked(Lookups):
        async def look_up_reverse(self, sql: str, values: Any) -> list[Any]:
            self.asked.append(sorted(values))
            return [image(int(value) * 10, student_id=int(value)) for value in values]

    source = Linked({n: [n] for n in range(1, 31)})
    announcing = channel(lookups={"tenant": TENANT | {"announce": True}})
    links = [
        change(n, "insert", {"id": n, "user_id": n, "school_id": n}, source=MEMBERS) for n in range(1, 31)
    ]
    prepared = await preparer(source, announcing).prepare(links)
    assert [each.id for each in prepared.events] == [f"{n}.{n * 10}" for n in range(1, 31)]
    assert len(source.asked) == 2  # the rows, and the look-up itself


async def test_one_table_feeds_several_channels_in_order() -> None:
    """Each channel gets its own event of a change; all events are in the order of their ids."""
    folded = channel("folded", coalesce=True)
    prepared = await preparer(Lookups(), channel(), folded).prepare(
        [change(1, "insert", image(), xid=5), change(2, "update", image(note="x"), image(), xid=5)]
    )
    assert [(each.channel, each.id, each.op) for each in prepared.events] == [
        ("payments", "1", "insert"),
        ("payments", "2", "update"),
        ("folded", "2", "insert"),
    ]


async def test_truncate_concerns_every_channel_of_the_table() -> None:
    """TRUNCATE is announced per channel; tables that feed no channel are passed over."""
    changes: list[Change] = [change(1, "truncate"), change(2, "insert", {"id": 1}, source="public.other")]
    prepared = await preparer(Lookups(), channel(), channel("more")).prepare(changes)
    assert prepared.truncations == (Truncation("payments", 1001), Truncation("more", 1001))
    assert prepared.events == ()


async def test_a_moved_key_names_both_rows() -> None:
    """Of a changed primary key, the delete names the old row and the insert the new one."""
    prepared = await preparer(Lookups()).prepare([change(1, "update", image(2), image(1))])
    assert [(each.id, each.op, identity(channel(), each)) for each in prepared.events] == [
        ("1.0", "delete", {"id": "1"}),
        ("1", "insert", {"id": "2"}),
    ]


async def test_snapshot_rows_go_the_same_way() -> None:
    """Rows of a snapshot are enriched and validated like events; those that do not validate are counted."""
    source = Lookups({1: [10]})
    payments = channel()
    prepared = await preparer(source, payments).prepare_rows(payments, [image(1), image(2, amount=[])])
    assert [row["school_ids"] for row in prepared.rows] == [[10]]
    assert len(prepared.faults) == 1


async def test_a_snapshot_is_whole_or_fails() -> None:
    """If a look-up fails, so does the snapshot: rows left out of it would never be announced."""
    source = Lookups()
    source.error = DatabaseError("column gone does not exist")
    payments = channel()
    with pytest.raises(DatabaseError, match="channel payments cannot be shown now"):
        await preparer(source, payments).prepare_rows(payments, [image(1)])


async def test_a_snapshot_looks_up_again_what_changed_meanwhile() -> None:
    """If results become void while a snapshot is looked up, the snapshot does not show the old ones."""
    payments = channel()

    class Racing(Lookups):
        async def look_up(self, sql: str, keys: Any) -> dict[Any, dict[str, Any]]:
            found = await super().look_up(sql, keys)
            if len(self.asked) == 1:
                self.schools[1] = [11]
                await racing.prepare(
                    [change(9, "update", MEMBER | {"school_id": 11}, MEMBER, source=MEMBERS)]
                )
            return found

    source = Racing({1: [10]})
    racing = preparer(source, payments)
    prepared = await racing.prepare_rows(payments, [image()])
    assert prepared.rows[0]["school_ids"] == [11]


async def test_reverse_asks_the_look_ups_reverse_query() -> None:
    """Scopes are turned into keys by the declared reverse query."""
    payments = channel()
    prepare = preparer(Lookups({1: [10], 2: [20]}), payments)
    assert await prepare.reverse(payments.lookups["tenant"], [10, 30]) == [1]
