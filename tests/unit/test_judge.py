"""Which positions can be honoured."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from relay.capture.cursor import Cursor, Epoch, Witness
from relay.capture.judge import Facts, refusal
from relay.capture.snapshot import Snapshot

EPOCH = Epoch(1, 2, 3, UUID(int=4))
CURSOR = Cursor(EPOCH, Snapshot.of(100, [90]), Witness(7, 99))
FACTS = Facts(EPOCH, Snapshot.of(80), Snapshot.of(120, [110]), witness=True)


def test_a_position_that_covers_the_horizon_is_good() -> None:
    """Same epoch, not beyond the present, horizon covered, witness there: it is honoured."""
    assert refusal(CURSOR, FACTS) is None
    assert refusal(replace(CURSOR, witness=None), replace(FACTS, witness=False)) is None
    assert refusal(CURSOR, replace(FACTS, horizon=Snapshot.of(100, [90]))) is None


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(FACTS, epoch=replace(EPOCH, timeline=4)), "epoch"),
        (replace(FACTS, epoch=replace(EPOCH, install_id=UUID(int=5))), "epoch"),
        (replace(FACTS, epoch=replace(EPOCH, database_oid=5)), "epoch"),
        (replace(FACTS, epoch=replace(EPOCH, system_identifier=5)), "epoch"),
        (replace(FACTS, present=Snapshot.of(99)), "future"),
        (replace(FACTS, horizon=Snapshot.of(91)), "pruned"),
        (replace(FACTS, horizon=Snapshot.of(101)), "pruned"),
        (replace(FACTS, witness=False), "witness"),
    ],
)
def test_each_reason(facts: Facts, reason: str) -> None:
    """Each thing that makes a position worthless has its word."""
    assert refusal(CURSOR, facts) == reason
