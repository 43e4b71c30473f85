"""What was notified waits until it has been handed on, and nothing that comes meanwhile is lost with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from relay.capture.batch import Gap
from relay.capture.change import Change
from relay.capture.notified import NOTIFY, Notified
from relay.capture.schema import Capturing

N = "public.n"
CAPTURING = {N: Capturing("f", whole=True, reason="", mode=NOTIFY, columns=("id",))}


def event(number: int | None) -> Change:
    """An insert of row ``number``; None: not even its key is known."""
    row = None if number is None else {"id": number}
    return Change(0, 5, datetime.now(UTC), N, "insert", row, row, None)


def take(notified: Notified, most: int = 100) -> tuple[list[Any], Gap | None]:
    """The rows that are taken, and the gap."""
    nobody: Any = None
    changes, gap = asyncio.run(notified.take(nobody, CAPTURING, most))
    return [change.key["id"] for change in changes if change.key], gap


def test_what_comes_while_a_batch_is_handed_on_is_in_the_next() -> None:
    """Only what was taken is forgotten, whatever has been heard since."""
    notified = Notified(frozenset({N}))
    assert all(notified.hear(event(number), CAPTURING) for number in (1, 2, 3))
    assert take(notified, most=2) == ([1, 2], None)
    notified.hear(event(4), CAPTURING)
    notified.drop()
    assert take(notified) == ([3, 4], None)
    notified.drop()
    assert not notified.any


def test_what_was_not_handed_on_is_taken_again() -> None:
    """A batch that failed on its way comes again, with its gap."""
    notified = Notified(frozenset({N}))
    for number in (1, None):
        notified.hear(event(number), CAPTURING)
    gap = Gap(frozenset({N}), "unreadable_row")
    assert take(notified) == ([1], gap)
    assert take(notified) == ([1], gap)
    notified.drop()
    assert not notified.any


def test_a_gap_noted_meanwhile_is_told_next() -> None:
    """History that breaks while a batch is handed on is told with the next one."""
    notified = Notified(frozenset({N}))
    notified.hear(event(1), CAPTURING)
    assert take(notified) == ([1], None)
    notified.hear(event(None), CAPTURING)
    notified.drop()
    assert notified.any
    assert take(notified) == ([], Gap(frozenset({N}), "unreadable_row"))


def test_other_tables_are_nobody_s_to_notify() -> None:
    """An event of a table in mode outbox, or of one nobody watches, is not taken."""
    outbox = {N: Capturing("f", whole=True, reason="", mode="outbox", columns=("id",))}
    notified = Notified(frozenset({N}))
    assert not notified.hear(event(1), outbox)
    assert not notified.hear(event(1), {})
    assert not notified.any
