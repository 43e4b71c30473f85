"""Resuming from memory: what was missed, and when memory must not answer."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from relay import jsontext
from relay.capture.change import Change
from relay.capture.cursor import Cursor, Epoch, Witness
from relay.capture.snapshot import Snapshot
from relay.errors import ResumeRefused
from tests.support.routing import MEMBERS, NOW, PAYMENTS, Recorder, change, channel, image, told, view
from tests.support.stage import MEMBER, PAYMENT, REFUND, SCOPE, Stage, inserts, resynced

EPOCH = Epoch(1, 2, 3, UUID(int=4))
FOLDED = channel("folded", coalesce=True)
PLAIN = channel("plain")


def cursor(xmax: int, witness: int | None, **changes: Any) -> Cursor:
    """A cursor that sees all below ``xmax``, with the insert of event ``witness``."""
    proof = Witness(witness, 1000 + witness, NOW) if witness is not None else None
    return Cursor(changes.get("epoch", EPOCH), Snapshot.of(xmax), proof, changes.get("marks", ()))


def played(stage: Stage, until: int) -> None:
    """Events 1 to ``until``, one batch each, on top of an empty outbox."""
    stage.publish(xmax=1001, cursor=cursor(1001, None).encode())
    for id in range(1, until + 1):
        at = cursor(1001 + id, id)
        stage.publish(*inserts(id), xmax=1001 + id, cursor=at.encode(), witness=at.witness)


def test_a_short_absence_is_replayed_from_memory() -> None:
    """A cursor inside the ring gets exactly what its view missed, in order."""
    stage = Stage()
    played(stage, 4)
    replay = stage.hub.replay(view(PAYMENT), cursor(1003, 2))
    assert replay is not None
    assert [b'"id":"%d"' % id in text for id, text in zip((3, 4), replay, strict=True)] == [True, True]
    assert stage.hub.replay(view(PAYMENT, {"status": "failed"}), cursor(1003, 2)) == []
    assert stage.hub.replay(view(PAYMENT), cursor(1005, 4)) == []


def test_memory_does_not_answer_what_it_cannot_prove() -> None:
    """Another epoch, other marks, an unread witness, a position ahead or before the ring: SQL has to decide."""
    stage = Stage(ring=2)
    played(stage, 4)
    for wrong in (
        cursor(1004, 3, epoch=Epoch(1, 2, 4, EPOCH.install_id)),
        cursor(1004, 3, marks=((1, 1),)),
        cursor(1004, 9),
        cursor(1006, 4),
        cursor(1002, 1),
    ):
        assert stage.hub.replay(view(PAYMENT), wrong) is None
    assert stage.hub.replay(view(PAYMENT), cursor(1004, 3)) is not None


def test_what_cannot_be_told_as_messages_is_not_replayed() -> None:
    """TRUNCATE, a changed scope or an unknown row among what was missed refuses the resume, for whom it concerns."""
    stage = Stage()
    played(stage, 1)
    at = cursor(1003, 2)
    prepared = stage.publish(
        change(2, "insert", MEMBER, source=MEMBERS), xmax=1003, cursor=at.encode(), witness=at.witness
    )
    assert stage.hub.replay(view(PAYMENT), cursor(1002, 1)) == []
    assert stage.hub.replay(view(PAYMENT, None, SCOPE), cursor(1002, 1)) is None
    with pytest.raises(ResumeRefused, match="scope_changed"):
        list(stage.hub.render(view(PAYMENT, None, SCOPE), prepared))
    prepared = asyncio.run(
        stage.preparer.prepare([change(3, "truncate"), *inserts(4, source="public.refund")])
    )
    with pytest.raises(ResumeRefused, match="truncated"):
        list(stage.hub.render(view(PAYMENT), prepared))
    assert len(list(stage.hub.render(view(REFUND), prepared))) == 1
    prepared = asyncio.run(stage.preparer.prepare([change(5, "delete", key={"id": 1})]))
    with pytest.raises(ResumeRefused, match="row_unknown"):
        list(stage.hub.render(view(PAYMENT, None, SCOPE), prepared))


def test_a_lagging_source_is_not_replayed_from_memory() -> None:
    """In the middle of a large commit memory cannot say what a cursor misses of it."""
    stage = Stage()
    played(stage, 1)
    stage.publish(xmax=1003, cursor=cursor(1003, 1).encode(), lagging=frozenset({PAYMENTS}))
    assert stage.hub.replay(view(PAYMENT), cursor(1002, 1)) is None
    assert stage.hub.replay(view(REFUND), cursor(1002, 1)) == []


def in_parts(stage: Stage) -> tuple[Recorder, list[Change]]:
    """Events 2 to 4 are one commit, which a subscriber of a channel that folds is told of in two parts."""
    outlet, _ = stage.subscriber(view(FOLDED))
    stage.publish(xmax=1001, cursor=cursor(1001, None).encode())
    a, b = image(2, status="a"), image(2, status="b")
    commit = [
        change(2, "insert", image(1), xid=1001),
        change(3, "insert", a, xid=1001),
        change(4, "delete", None, image(1), xid=1001),
        change(5, "update", b, a, xid=1001),
    ]
    stage.publish(*commit[:2], xmax=None, lagging=frozenset({PAYMENTS}))
    return outlet, commit


def test_a_row_that_came_and_went_is_gone_for_who_saw_it_come() -> None:
    """Folded whole a row that a commit inserts and deletes is nothing; who had the part in which it came is told."""
    stage = Stage(channels={"folded": FOLDED})
    outlet, commit = in_parts(stage)
    assert told(outlet.drain()) == [("2", "created", None), ("3", "created", None)]
    prepared = asyncio.run(stage.preparer.prepare(commit, replayed=True))
    missed = [jsontext.decode(text) for text in stage.hub.render(view(FOLDED), prepared) if text]
    assert told(missed) == [("4", "deleted", None), ("5", "created", None)]
    another, proof = Stage(channels={"folded": FOLDED}), Witness(5, 1001, NOW)
    live, _ = another.subscriber(view(FOLDED))
    another.publish(xmax=1001, cursor=cursor(1001, None).encode())
    another.publish(
        *commit, xmax=1002, cursor=Cursor(EPOCH, Snapshot.of(1002), proof).encode(), witness=proof
    )
    assert told(live.messages)[:-1] == [("5", "created", None)]
    assert another.hub.replay(view(FOLDED), cursor(1001, None)) == [jsontext.encode(each) for each in missed]


def test_parts_of_a_commit_are_not_replayed_from_memory_where_changes_are_folded() -> None:
    """Who had the whole commit as one message from another relay would take its first part for news."""
    stage = Stage(channels={"folded": FOLDED, "plain": PLAIN})
    _, commit = in_parts(stage)
    proof = Witness(5, 1001, NOW)
    at = Cursor(EPOCH, Snapshot.of(1002), proof).encode()
    stage.publish(*commit[2:], xmax=1002, cursor=at, witness=proof)
    assert stage.hub.replay(view(FOLDED), cursor(1001, None)) is None
    assert stage.hub.replay(view(FOLDED), Cursor(EPOCH, Snapshot.of(1002), proof)) == []
    replay = stage.hub.replay(view(PLAIN), cursor(1001, None))
    assert replay is not None
    assert len(replay) == 4


def test_a_commit_that_is_read_again_begins_anew_where_changes_are_folded() -> None:
    """After the sessions were lost in the middle of a commit its parts are cut otherwise, and so folded otherwise."""
    stage = Stage(channels={"folded": FOLDED, "plain": PLAIN})
    outlet, _ = in_parts(stage)
    plain, _ = stage.subscriber(view(PLAIN))
    stage.hub.interrupted()
    assert resynced(outlet) == [(["folded"], "reconnected")]
    assert plain.resyncs == []


A, B = image(status="a"), image(status="b")


@pytest.mark.parametrize(
    ("steps", "filter", "scope", "expected"),
    [
        # Who had the first part was told that the row changed, entered, left or came.
        ([("update", B, A), ("update", A, B)], None, None, ("updated", None)),
        ([("update", B, A), ("delete", None, B)], {"status": "b"}, None, ("deleted", None)),
        ([("update", B, A), ("update", A, B)], {"status": "b"}, None, ("updated", "left")),
        ([("update", B, A), ("update", A, B)], {"status": "a"}, None, ("updated", None)),
        ([("delete", None, A), ("insert", A, None)], None, None, ("updated", None)),
        ([("insert", B, None), ("update", A, B)], {"status": "b"}, None, ("updated", "left")),
        # Nobody was told anything: it was never theirs, or there is nothing that would have to be right.
        ([("update", B, A), ("update", A, B)], {"status": "c"}, None, None),
        ([("update", B, A), ("update", A, B)], None, {"status": {"eq": "c"}}, None),
        ([("update", B, A), ("update", A, B)], {"status": {"changed": True}}, None, None),
    ],
)
def test_who_comes_back_from_the_middle_of_a_commit_ends_well(
    steps: list[Any], filter: Any, scope: Any, expected: Any
) -> None:
    """Where a commit as a whole is no news for a view but a part of it was, the row's present state is told again."""
    stage = Stage(channels={"folded": FOLDED})
    live, _ = stage.subscriber(view(FOLDED, filter, scope))
    events = [change(n, op, new, old, xid=5) for n, (op, new, old) in enumerate(steps, 2)]
    prepared = stage.publish(*events)
    missed = [text for text in stage.hub.render(view(FOLDED, filter, scope), prepared) if text]
    again = [each[1:] for each in told([jsontext.decode(text) for text in missed])]
    assert again == ([expected] if expected else [])
    assert told(live.messages) in ([], [("checkpoint",)])


def test_what_is_told_once_more_is_the_last_that_is_told_of_its_row() -> None:
    """Whoever had what came later of the row drops that as known, and would be left with what is told once more."""
    stage = Stage(channels={"folded": FOLDED})
    stage.publish(xmax=1001, cursor=cursor(1001, None).encode())
    first = [change(2, "update", B, A, xid=1001), change(3, "update", A, B, xid=1001)]
    then = [change(4, "update", B, A, xid=1002)]
    stage.publish(*first, xmax=1002, cursor=cursor(1002, None).encode())
    again = stage.hub.replay(view(FOLDED), cursor(1001, None))
    assert again is not None
    assert told([jsontext.decode(text) for text in again]) == [("3", "updated", None)]
    stage.publish(*then, xmax=1003, cursor=cursor(1003, None).encode())
    replay = stage.hub.replay(view(FOLDED), cursor(1001, None))
    assert replay is not None
    assert told([jsontext.decode(text) for text in replay]) == [("4", "status_changed", None)]
    prepared = asyncio.run(stage.preparer.prepare([*first, *then], replayed=True))
    assert list(filter(None, stage.hub.render(view(FOLDED), prepared))) == replay
