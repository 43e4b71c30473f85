"""The hub and subscribers who see less: what is sent, what is not, and that every way leads to the same form."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from relay import jsontext
from relay.capture.cursor import Cursor, Witness
from relay.capture.snapshot import Snapshot
from relay.config import PolicySettings
from relay.routing import filters
from relay.routing.filters import FilterLimits
from relay.routing.hub import Hub
from relay.routing.policies import Grants, compile_policies
from relay.routing.prepare import Preparer
from relay.routing.view import View
from tests.support.routing import LIMITS, NOW, Lookups, Recorder, batch, change, channel, image, told
from tests.support.world import EPOCH

PAYMENT = channel(
    fields={
        "id": {"column": "id", "type": "string"},
        "amount": {"column": "amount", "type": "decimal"},
        "status": {"column": "status"},
        "note": {"column": "note"},
        "school_ids": {"lookup": "tenant.school_ids", "type": "json", "hidden": True},
    }
)
CARD = "4242 4242 4242 4242"


def grants(*masks: dict[str, str], where: dict[str, Any] | None = None) -> list[Grants]:
    """What policies with these masks grant, one after the other."""
    declared = [
        {"name": f"p{n}", "when": {"n": n}, "channels": ["*"], "mask": mask, "where": where or {}}
        for n, mask in enumerate(masks)
    ]
    policies = compile_policies(
        [PolicySettings.model_validate(each) for each in declared], {"payments": PAYMENT}, b"k" * 32
    )
    found = [policies.decide({"n": n}) for n in range(len(masks))]
    return [each for each in found if each is not None]


def view_of(of: Grants, filter: Any = None) -> View:
    """What is seen under these grants through a filter."""
    return of.view(
        PAYMENT, filters.parse(filter, of.projection(PAYMENT).filterable, cast(FilterLimits, LIMITS))
    )


def seen(
    masks: dict[str, str] | None = None, filter: Any = None, where: dict[str, Any] | None = None
) -> View:
    """The view of somebody whose policy has these masks and this where."""
    (only,) = grants(masks or {}, where=where)
    return view_of(only, filter)


class Stage:
    """A hub of one channel, and live subscribers of some views."""

    def __init__(self, *views: View) -> None:
        self.preparer = Preparer({"payments": PAYMENT}, Lookups({1: [10]}))
        self.hub = Hub({"payments": PAYMENT}, 1000, 1000)
        self.outlets = []
        for each in views:
            outlet = Recorder()
            self.hub.release(self.hub.join(self.hub.attach(outlet), each))
            self.outlets.append(outlet)

    def publish(self, *changes: Any, **position: Any) -> list[list[dict[str, Any]]]:
        """What each subscriber is sent because of these changes."""
        prepared = asyncio.run(self.preparer.prepare(changes))
        self.hub.publish(prepared, batch(changes, **position))
        return [[each for each in outlet.drain() if "data" in each] for outlet in self.outlets]


def test_each_is_shown_what_the_policy_shows() -> None:
    """One change, three projections: whole, masked, and without the field."""
    stage = Stage(seen(), seen({"note": "email"}), seen({"note": "drop"}))
    new = image(1, note="ben@example.com")
    whole, masked, without = (
        [each["data"]["payment"] for each in sent] for sent in stage.publish(change(1, "insert", new))
    )
    assert whole[0]["note"] == "ben@example.com"
    assert masked[0]["note"] == "***@example.com"
    assert "note" not in without[0]


def test_a_change_that_only_shows_unmasked_is_not_sent() -> None:
    """Another local part of an address is news for who sees it, and nothing has happened for anybody else."""
    stage = Stage(seen(), seen({"note": "email"}), seen({"note": "drop"}), seen({"note": "redact"}))
    old, new = image(1, note="ben@example.com"), image(1, note="ann@example.com")
    whole, *others = stage.publish(change(1, "update", new, old))
    assert whole[0]["data"]["changed"] == ["note"]
    assert others == [[], [], []]
    _, masked, *others = stage.publish(change(2, "update", image(1, note="ann@example.org"), new))
    assert masked[0]["data"]["changed"] == ["note"]
    assert others == [[], []]


def test_changed_never_names_what_is_dropped() -> None:
    """Of a change in two fields only the one that is shown is named."""
    stage = Stage(seen({"note": "drop"}))
    ((update,),) = stage.publish(change(1, "update", image(1, note="b", status="x"), image(1, note="a")))
    assert update["data"]["changed"] == ["status"]
    assert "note" not in update["data"]["payment"]


def test_what_a_mask_takes_from_view_is_not_named_either() -> None:
    """A value that the mask cannot be applied to goes, with an update so that the old one goes, too."""
    stage = Stage(seen({"note": "email"}))
    ((update,),) = stage.publish(
        change(1, "update", image(1, note="no address"), image(1, note="ben@example.com"))
    )
    assert update["data"]["changed"] == []
    assert "note" not in update["data"]["payment"]


@pytest.mark.parametrize(
    ("mask", "action", "previous"),
    [
        (None, "status_changed", "pending"),
        ("redact", "updated", None),
        ("drop", "updated", None),
        ("hash", "status_changed", "…"),
    ],
)
def test_previous_status_is_masked_as_the_status_is(
    mask: str | None, action: str, previous: str | None
) -> None:
    """The earlier status shows no more than the present one; where the status does not show, its change does not."""
    stage = Stage(seen({"status": mask} if mask else {}))
    ((update,),) = stage.publish(change(1, "update", image(1, status="failed", note="x"), image(1)))
    assert update["data"]["action"] == action
    if previous == "…":
        assert len(update["data"]["previous_status"]) == 32
        assert update["data"]["previous_status"] != update["data"]["payment"]["status"]
    else:
        assert update["data"].get("previous_status") == previous
    assert "pending" not in str(update) or mask is None


def test_snapshot_live_ring_and_replay_are_of_one_form() -> None:
    """A row is masked alike whichever way it comes."""
    view = seen({"note": "last4", "status": "hash"})
    stage = Stage(view)
    old, new = image(1, note=CARD), image(1, note=CARD, status="failed")
    changes = [change(1, "insert", old), change(2, "update", new, old)]
    since = Cursor(EPOCH, Snapshot.of(1001), None, ())
    now = Cursor(EPOCH, Snapshot.of(1003), Witness(2, 1002, NOW), ())
    stage.publish(xmax=1001, cursor=since.encode())
    (live,) = stage.publish(*changes, xmax=1003, cursor=now.encode(), witness=now.witness)
    (snapshot,) = view.select(asyncio.run(stage.preparer.prepare_rows(PAYMENT, [new])).rows, 10)
    assert live[-1]["data"]["payment"] == snapshot
    assert snapshot["note"] == "4242"
    ring = stage.hub.replay(view, since)
    assert ring is not None
    assert [jsontext.decode(text) for text in ring] == live
    again = asyncio.run(stage.preparer.prepare(changes))
    assert [jsontext.decode(text) for text in stage.hub.render(view, again) if text] == live


def test_what_the_scan_removes_is_removed_for_everybody() -> None:
    """A superuser is shown [removed], too; a change of what was removed is none, and no filter finds it."""
    stage = Stage(seen(), seen(filter={"note": {"contains": "4242"}}), seen(filter={"note": "pay [removed]"}))
    old, new = image(1, note=f"pay {CARD}"), image(1, note="pay 5555555555554444")
    whole, by_number, by_word = stage.publish(change(1, "insert", old))
    assert whole[0]["data"]["payment"]["note"] == "pay [removed]"
    assert by_number == []
    assert told(by_word) == [("1", "created", None)]
    assert stage.publish(change(2, "update", new, old)) == [[], [], []]


def test_the_facts_of_a_batch_count_what_was_removed() -> None:
    """Each field of each present row from which something was removed is reported once, whoever sees it."""
    stage = Stage()
    changes = [
        change(1, "insert", image(1, note=CARD)),
        change(2, "update", image(1, note="clean"), image(1, note=CARD)),
        change(3, "insert", image(2, note="clean", status="sk_live_abcdefgh")),
    ]
    prepared = asyncio.run(stage.preparer.prepare(changes))
    assert list(prepared.removals) == [("payments", "note"), ("payments", "status")]
    rows = asyncio.run(stage.preparer.prepare_rows(PAYMENT, [image(1, note=CARD), image(2)]))
    assert list(rows.removals) == ["note"]


def test_a_row_that_leaves_the_scope_is_named_and_no_more() -> None:
    """``left`` holds the id alone, whatever the masks."""
    stage = Stage(seen({"note": "email"}, where={"status": "pending"}))
    ((left,),) = stage.publish(
        change(
            1, "update", image(1, status="failed", note="ben@example.com"), image(1, note="ben@example.com")
        )
    )
    assert left["membership"] == "left"
    assert left["data"] == {"action": "updated", "payment": {"id": "1"}}


def test_masked_groups_share_what_is_encoded() -> None:
    """Under policies that mask alike, and through whatever filters, everybody gets the very same bytes."""
    one, other, more = grants({"note": "email"}, {"note": "email"}, {"note": "drop"})
    stage = Stage(view_of(one), view_of(one, {"status": "pending"}), view_of(other, {"amount": {"gt": 1}}))
    prepared = asyncio.run(stage.preparer.prepare([change(1, "insert", image(1, note="ben@example.com"))]))
    stage.hub.publish(prepared, batch([]))
    assert len(prepared.events[0].encoded) == 1
    assert stage.hub.groups == 3
    assert view_of(more) != view_of(one) == view_of(other)
