"""Resuming from memory: what was missed, and when memory must not answer."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from relay.capture.cursor import Cursor, Epoch, Witness
from relay.capture.snapshot import Snapshot
from relay.errors import ResumeRefused
from tests.support.routing import MEMBERS, PAYMENTS, change, view
from tests.support.stage import MEMBER, PAYMENT, REFUND, SCOPE, Stage, inserts

EPOCH = Epoch(1, 2, 3, UUID(int=4))


def cursor(xmax: int, witness: int | None, **changes: Any) -> Cursor:
    """A cursor that sees all below ``xmax``, with the insert of event ``witness``."""
    proof = Witness(witness, 1000 + witness) if witness is not None else None
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
