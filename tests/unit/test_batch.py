"""Gaps: which sources they touch."""

from __future__ import annotations

from relay.capture.batch import Gap
from relay.capture.publisher import joined


def test_a_gap_without_sources_is_one_of_all() -> None:
    """None means all; a set means these."""
    assert Gap(None, "epoch").touches("public.a")
    assert Gap(frozenset({"public.a"}), "unreadable_row").touches("public.a")
    assert not Gap(frozenset({"public.a"}), "unreadable_row").touches("public.b")


def test_gaps_join() -> None:
    """Two gaps make one that touches what either does, and keeps the first reason."""
    one, two = Gap(frozenset("a"), "x"), Gap(frozenset("b"), "y")
    assert joined(one, two) == Gap(frozenset("ab"), "x")
    assert joined(one, Gap(None, "z")) == Gap(None, "x")
    assert joined(Gap(None, "z"), one) == Gap(None, "z")
    assert joined(None, one) == joined(one, None) == one
    assert joined(None, None) is None
