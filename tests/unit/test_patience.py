"""When it is worth waiting for somebody else's flush."""

from __future__ import annotations

from relay.capture.patience import LONGEST, PAUSES, Patience


def flushes_between_waits(patience: Patience, waits: int) -> list[int]:
    """How many flushes of one's own come before each of so many waits, all of them in vain."""
    found = [0]
    while len(found) <= waits:
        if patience.pauses():
            patience.in_vain()
            found.append(0)
        else:
            found[-1] += 1
    return found[:-1]


def test_it_waits_as_long_as_that_pays() -> None:
    """Where somebody else flushes the log, every time is waited for it."""
    patience = Patience()
    for _ in range(100):
        assert patience.pauses() == PAUSES
        patience.rewarded()


def test_it_waits_ever_more_rarely_in_vain() -> None:
    """Where nobody does, waiting is tried again after 1, 2, 4 flushes of one's own and so on, and never given up."""
    assert flushes_between_waits(Patience(), 8) == [0, 1, 2, 4, 8, 16, LONGEST, LONGEST]


def test_it_recovers_at_once() -> None:
    """One wait that pays, and the next one in vain costs one flush of one's own again."""
    patience = Patience()
    flushes_between_waits(patience, 6)
    while not patience.pauses():
        pass
    patience.rewarded()
    assert flushes_between_waits(patience, 3) == [0, 1, 2]
