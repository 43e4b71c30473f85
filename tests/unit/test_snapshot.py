"""The arithmetic of snapshots: what is seen, what is new, what survives a crash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.capture.snapshot import FIRST_XID, Snapshot

xids = st.integers(min_value=FIRST_XID, max_value=60)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Any small snapshot."""
    xmax = draw(xids)
    return Snapshot.of(xmax, draw(st.frozensets(xids, max_size=8)))


def test_text_form_is_that_of_postgres() -> None:
    """Parsing what Postgres prints and printing it again gives the same text."""
    assert str(Snapshot.parse("10:20:10,14,15")) == "10:20:10,14,15"
    assert str(Snapshot.parse("7:7:")) == "7:7:"


def test_a_lower_xmin_says_the_same() -> None:
    """Postgres may report an xmin below the first running id; the snapshot means the same and compares equal."""
    assert Snapshot.parse("10:20:14") == Snapshot.parse("14:20:14")


@pytest.mark.parametrize(
    "text", ["", "1:2", "a:b:", "5:4:", "5:9:3", "5:9:9", "0:0:", "1:2:3,", f"1:{2**64}:"]
)
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    """Text that Postgres would not print raises ValueError instead of becoming a position."""
    with pytest.raises(ValueError, match="pg_snapshot"):
        Snapshot.parse(text)


@given(snapshots(), snapshots())
def test_covers_means_sees_at_least_as_much(a: Snapshot, b: Snapshot) -> None:
    """``a`` covers ``b`` exactly when no transaction is seen by ``b`` and not by ``a``."""
    assert a.covers(b) == all(a.sees(x) for x in range(FIRST_XID, 70) if b.sees(x))


@given(snapshots(), xids)
def test_clamping_keeps_knowledge_below_the_bound_and_gives_up_the_rest(s: Snapshot, bound: int) -> None:
    """A clamped snapshot sees what it saw below the bound and nothing at or past it."""
    clamped = s.clamp(bound)
    for x in range(FIRST_XID, 70):
        assert clamped.sees(x) == (s.sees(x) and x < bound)


@given(snapshots(), st.integers(min_value=0, max_value=8))
def test_a_bounded_snapshot_is_covered_by_the_whole_one(s: Snapshot, ids: int) -> None:
    """Cutting the list of running ids may only make a snapshot see less, so that a resume repeats and never loses."""
    cut = s.at_most(ids)
    assert len(cut.xip) <= ids
    assert s.covers(cut)
