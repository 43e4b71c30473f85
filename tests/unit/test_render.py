"""What a subscriber is told of an event: policy, filter and message."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from relay import jsontext
from relay.routing.event import PreparedEvent
from relay.routing.render import Verdict, decide, message
from relay.routing.view import View
from tests.support.routing import NOW, channel, view

PAYMENT = channel()
OPEN = {"status": "open"}
SCHOOL = {"school_ids": {"overlaps": [1]}}


def row(status: str = "open", school: int = 1, **fields: Any) -> dict[str, Any]:
    """A row of the payment channel."""
    return {
        "id": "7",
        "amount": None,
        "currency": "eur",
        "status": status,
        "note": None,
        "school_ids": [school],
    } | fields


def event(
    op: Literal["insert", "update", "delete"],
    new: Any = None,
    old: Any = None,
    fault: str = "",
    *,
    lost: bool = False,
) -> PreparedEvent:
    """An event on it."""
    return PreparedEvent(
        channel="payments",
        mapping=PAYMENT.fingerprint,
        id="9",
        xid=5,
        at=NOW,
        op=op,
        new=new,
        old=old,
        key={"id": 7},
        fault=fault,
        lost=lost,
    )


def text(view: View, event: PreparedEvent) -> Any:
    """The message it becomes for a view."""
    return jsontext.decode(message(PAYMENT, view.projection, event, decide(view, event)))


IN, OUT = row(), row("done")
ELSEWHERE, ELSEWHERE_DONE = row(school=2), row("done", school=2)
MINE, FILTERED, SCOPED, BOTH = (
    view(PAYMENT),
    view(PAYMENT, OPEN),
    view(PAYMENT, None, SCHOOL),
    view(PAYMENT, OPEN, SCHOOL),
)


@pytest.mark.parametrize(
    ("seen", "old", "new", "verdict"),
    [
        (MINE, IN, OUT, Verdict.UPDATED),
        (MINE, IN, IN, Verdict.NOTHING),
        (MINE, IN, ELSEWHERE, Verdict.NOTHING),
        (FILTERED, IN, row(note="x"), Verdict.UPDATED),
        (FILTERED, IN, OUT, Verdict.LEFT),
        (FILTERED, OUT, IN, Verdict.ENTERED),
        (FILTERED, OUT, row("done", note="x"), Verdict.NOTHING),
        (SCOPED, IN, OUT, Verdict.UPDATED),
        (SCOPED, IN, ELSEWHERE, Verdict.LEFT_ID),
        (SCOPED, ELSEWHERE, IN, Verdict.ENTERED_SCOPE),
        (SCOPED, ELSEWHERE, ELSEWHERE_DONE, Verdict.NOTHING),
        (BOTH, IN, OUT, Verdict.LEFT),
        (BOTH, OUT, IN, Verdict.ENTERED),
        (BOTH, IN, ELSEWHERE, Verdict.LEFT_ID),
        (BOTH, IN, ELSEWHERE_DONE, Verdict.LEFT_ID),
        (BOTH, OUT, ELSEWHERE, Verdict.NOTHING),
        (BOTH, ELSEWHERE_DONE, IN, Verdict.ENTERED_SCOPE),
        (BOTH, ELSEWHERE, OUT, Verdict.NOTHING),
        (BOTH, ELSEWHERE, ELSEWHERE_DONE, Verdict.NOTHING),
    ],
)
def test_an_update_by_what_matched_and_matches(seen: View, old: Any, new: Any, verdict: Verdict) -> None:
    """Policy and filter on the old and the new row decide what of an update is told."""
    assert decide(seen, event("update", new, old)) is verdict


@pytest.mark.parametrize(("seen", "told"), [(MINE, True), (FILTERED, False), (SCOPED, True), (BOTH, False)])
def test_inserts_and_deletes_are_told_to_whom_they_match(seen: View, told: bool) -> None:
    """A created row must match; a deleted one must have matched."""
    assert decide(seen, event("insert", OUT)) is (Verdict.CREATED if told else Verdict.NOTHING)
    assert decide(seen, event("delete", None, OUT)) is (Verdict.DELETED if told else Verdict.NOTHING)


@pytest.mark.parametrize(
    ("op", "new", "old", "verdicts"),
    [
        ("insert", None, None, (Verdict.WITHHELD, Verdict.WITHHELD, Verdict.NOTHING, Verdict.NOTHING)),
        ("update", None, None, (Verdict.WITHHELD, Verdict.WITHHELD, Verdict.NOTHING, Verdict.NOTHING)),
        ("update", None, IN, (Verdict.WITHHELD, Verdict.WITHHELD, Verdict.LEFT_ID, Verdict.LEFT_ID)),
        ("update", None, ELSEWHERE, (Verdict.WITHHELD, Verdict.WITHHELD, Verdict.NOTHING, Verdict.NOTHING)),
        ("delete", None, None, (Verdict.DELETED, Verdict.DELETED, Verdict.NOTHING, Verdict.NOTHING)),
    ],
)
def test_what_cannot_be_shown_is_withheld_from_the_unscoped(
    op: Any, new: Any, old: Any, verdicts: tuple[Verdict, ...]
) -> None:
    """A quarantined row is announced where no scope is; under a scope it leaves if it was theirs, else nothing."""
    views = (MINE, FILTERED, SCOPED, BOTH)
    assert tuple(decide(each, event(op, new, old, fault="field amount: bad")) for each in views) == verdicts


def test_what_is_not_known_never_leaves_a_list_wrong() -> None:
    """If a row is not known and may be theirs, a scoped subscriber starts over unless it can be told."""
    assert decide(SCOPED, event("insert", fault="not captured", lost=True)) is Verdict.RESYNC
    assert decide(SCOPED, event("update", None, IN, fault="look-up failed", lost=True)) is Verdict.RESYNC
    assert decide(SCOPED, event("update", fault="not captured", lost=True)) is Verdict.RESYNC
    assert decide(SCOPED, event("delete", lost=True)) is Verdict.RESYNC
    assert decide(BOTH, event("update", ELSEWHERE, lost=True)) is Verdict.RESYNC
    assert decide(BOTH, event("update", OUT, lost=True)) is Verdict.LEFT_ID
    assert decide(FILTERED, event("update", IN, lost=True)) is Verdict.DISCLOSED
    assert decide(FILTERED, event("update", OUT, lost=True)) is Verdict.LEFT_ID
    assert decide(MINE, event("delete", lost=True)) is Verdict.DELETED
    assert decide(MINE, event("insert", fault="not captured", lost=True)) is Verdict.WITHHELD


def test_an_invalid_past_was_nobodys() -> None:
    """A row that was not valid left everybody's scope then; nothing has to be said to those who cannot see it now."""
    assert decide(FILTERED, event("update", IN)) is Verdict.DISCLOSED
    assert decide(FILTERED, event("update", OUT)) is Verdict.LEFT_ID
    assert decide(BOTH, event("update", ELSEWHERE)) is Verdict.NOTHING
    assert decide(SCOPED, event("delete")) is Verdict.NOTHING
    assert decide(MINE, event("delete")) is Verdict.DELETED


def test_a_filter_for_changes_chooses_events() -> None:
    """changed matches the event that changed the field, and a row that is new to the subscriber; never a delete."""
    changes = view(PAYMENT, {"status": {"changed": True}}, SCHOOL)
    assert decide(changes, event("update", OUT, IN)) is Verdict.UPDATED
    assert decide(changes, event("update", row(note="x"), IN)) is Verdict.NOTHING
    assert decide(changes, event("insert", IN)) is Verdict.CREATED
    assert decide(changes, event("update", row(note="x"), ELSEWHERE)) is Verdict.ENTERED_SCOPE
    assert decide(changes, event("delete", None, IN)) is Verdict.NOTHING


def test_a_status_change_says_what_it_was() -> None:
    """A change of the status field is status_changed with previous_status; other changes are updated."""
    data = text(MINE, event("update", row("done", note="x"), IN))["data"]
    assert (data["action"], data["changed"], data["previous_status"]) == (
        "status_changed",
        ["status", "note"],
        "open",
    )
    assert data["payment"]["status"] == "done"
    assert "school_ids" not in data["payment"]
    data = text(MINE, event("update", row(note="x"), IN))["data"]
    assert (data["action"], data["changed"], "previous_status" in data) == ("updated", ["note"], False)


def test_leaving_the_filter_shows_the_row_and_leaving_the_policy_its_id() -> None:
    """left carries the whole row while the policy allows it, and the id alone when it does not."""
    left = text(BOTH, event("update", OUT, IN))
    assert (left["membership"], left["data"]["payment"]["status"]) == ("left", "done")
    gone = text(BOTH, event("update", ELSEWHERE_DONE, IN))
    assert gone["membership"] == "left"
    assert gone["data"] == {"action": "updated", "payment": {"id": "7"}}


def test_entering_the_policy_tells_nothing_of_before() -> None:
    """Of the row as it was outside the policy, neither changed nor previous_status says anything."""
    entered = text(SCOPED, event("update", IN, ELSEWHERE_DONE))
    assert entered["membership"] == "entered"
    assert set(entered["data"]) == {"action", "payment"}
    assert entered["data"]["action"] == "updated"
    through_filter = text(FILTERED, event("update", IN, OUT))
    assert through_filter["data"]["previous_status"] == "done"


def test_deleted_and_withheld_name_no_more_than_ids() -> None:
    """deleted carries the row's id alone, withheld only the event's."""
    assert text(MINE, event("delete", None, IN))["data"] == {"action": "deleted", "payment": {"id": "7"}}
    assert text(MINE, event("insert", fault="bad")) == {"type": "withheld", "channel": "payments", "id": "9"}


def test_a_message_is_encoded_once() -> None:
    """Groups that are told the same share the same bytes."""
    one = event("update", IN, OUT)
    first = message(PAYMENT, FILTERED.projection, one, Verdict.ENTERED)
    assert message(PAYMENT, view(PAYMENT, OPEN).projection, one, Verdict.ENTERED) is first
