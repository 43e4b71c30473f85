"""The reader's position as a value: clamping, lanes, and what survives a reconnect."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.capture.cursor import Witness
from relay.capture.snapshot import FIRST_XID, Snapshot
from relay.capture.state import Lane, State, interval

xids = st.integers(min_value=FIRST_XID, max_value=60)
snapshots = st.builds(Snapshot.of, xids, st.frozensets(xids, max_size=8))
witnesses = st.none() | st.builds(Witness, st.integers(min_value=1, max_value=9), xids)
NOTHING = Snapshot.nothing()


@given(snapshots, witnesses, snapshots)
def test_no_claim_survives_that_leaves_no_trace(
    prev: Snapshot, witness: Witness | None, horizon: Snapshot
) -> None:
    """The published position sees nothing past the newest row and the horizon, and all else that was seen."""
    state = State(prev, witness, horizon)
    bound = max(witness.xid + 1 if witness else 0, horizon.xmax)
    for xid in range(FIRST_XID, 70):
        assert state.clamped.sees(xid) == (prev.sees(xid) and xid < bound)


def test_the_newest_row_is_kept() -> None:
    """Seeing an older row changes nothing; the order of polls does not matter."""
    state = State(NOTHING, None, NOTHING)
    for witness in (Witness(5, 10), Witness(9, 8), Witness(4, 10), None):
        state = state.saw(witness)
    assert state.witness == Witness(5, 10)


@given(snapshots, snapshots)
def test_an_interval_is_exactly_what_became_visible(base: Snapshot, later: Snapshot) -> None:
    """The parameters select all that the later snapshot sees and the earlier does not, when filtered by the later."""
    params = interval(base, later)
    listed = {int(xid) for xid in params["xip"]}  # type: ignore[attr-defined]
    first, until = int(str(params["xmax"])), int(str(params["until"]))
    selected = {
        xid for xid in range(FIRST_XID, 70) if (first <= xid < until or xid in listed) and later.sees(xid)
    }
    assert selected == {xid for xid in range(FIRST_XID, 70) if later.sees(xid) and not base.sees(xid)}


def test_a_lane_goes_forward_to_its_target() -> None:
    """A lane that has passed its last id is complete up to its target, and begins to catch up from there."""
    target = Snapshot.of(50)
    lane = Lane("a", Snapshot.of(10)).towards(target, 100, 199, 50)
    lane = lane.past(150, 50)
    assert (lane.next_id, lane.target) == (150, target)
    lane = lane.past(200, 50)
    assert (lane.base, lane.target) == (target, None)


def test_lagging_sources_are_those_of_all_lanes() -> None:
    """Lanes have sources of their own; one that joins the main stream takes its sources out of the lagging ones."""
    one, two = Lane("a", NOTHING), Lane("b", NOTHING)
    state = State(Snapshot.of(20), None, NOTHING, (one, two))
    assert state.lagging == set("ab")
    assert state.with_lane(one, None).lagging == {"b"}
    moved = state.with_lane(two, Lane("b", Snapshot.of(9)))
    assert [lane.base for lane in moved.lanes] == [NOTHING, Snapshot.of(9)]


def test_after_a_reconnect_lanes_begin_again() -> None:
    """What a lane has read in pieces is read again; an overflow is forgotten, for nothing of it was published."""
    lane = Lane("a", Snapshot.of(30)).towards(Snapshot.of(50), 1, 9, 5).past(6, 5)
    state = State(
        Snapshot.of(50), Witness(9, 40), NOTHING, (lane,), overflow=Snapshot.of(60)
    ).after_reconnect()
    assert state.prev == Snapshot.of(41)
    assert state.lanes == (Lane("a", Snapshot.of(30)),)
    assert state.overflow is None
