"""Pauses between attempts."""

from __future__ import annotations

import pytest

from relay.capture.backoff import Backoff


def test_pauses_double_up_to_the_longest() -> None:
    """Without luck each pause is twice the one before, and never longer than allowed."""
    backoff = Backoff(0.1, 1.0, chance=lambda: 0.0)
    assert [backoff.next() for _ in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    backoff.reset()
    assert backoff.next() == pytest.approx(0.1)


def test_jitter_takes_up_to_a_half() -> None:
    """Two relays that fell together do not come back together: each pause is shortened by chance, at most by half."""
    assert Backoff(0.1, 1.0, chance=lambda: 1.0).next() == pytest.approx(0.05)
    assert len({Backoff(0.1, 1.0).next() for _ in range(20)}) > 1


def test_years_of_attempts_are_no_trouble() -> None:
    """The pause stays the longest one however often it failed."""
    backoff = Backoff(0.1, 10.0, chance=lambda: 0.0)
    assert {backoff.next() for _ in range(5000)} >= {10.0}
    assert backoff.next() == 10.0
