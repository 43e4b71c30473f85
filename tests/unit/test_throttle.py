"""Repeated complaints are made once a minute."""

from __future__ import annotations

from relay.capture.throttle import Throttle


def test_the_next_complaint_counts_those_in_between() -> None:
    """The first is made at once; the others wait for the minute to end, and the next one says how many there were."""
    now = 0.0
    throttle = Throttle(60.0, clock=lambda: now)
    assert throttle.due() == 1
    assert [throttle.due() for _ in range(3)] == [None, None, None]
    now = 59.9
    assert throttle.due() is None
    now = 60.0
    assert throttle.due() == 5
    assert throttle.due() is None
