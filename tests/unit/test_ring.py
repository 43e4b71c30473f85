"""The ring of the last batches, and when it may serve a resume."""

from __future__ import annotations

from relay.capture.cursor import Witness
from relay.capture.snapshot import Snapshot
from relay.routing.event import Prepared
from relay.routing.ring import Ring
from tests.support.routing import NOW, batch, change, image


def filled(capacity: int = 100) -> tuple[Ring, list[Prepared]]:
    """Base at xmax 1001; then batches with events 1, 2 and 3 (xid 1000 + id), each moving xmax by one."""
    ring = Ring(capacity)
    ring.add(Prepared(), batch(xmax=1001, witness=Witness(0, 1000, NOW)))
    prepared = [Prepared() for _ in range(3)]
    for id, each in enumerate(prepared, 1):
        ring.add(
            each,
            batch([change(id, "insert", image(id))], xmax=1001 + id, witness=Witness(id, 1000 + id, NOW)),
        )
    return ring, prepared


LIVE = Snapshot.of(2000)


def test_a_cursor_inside_the_ring_gets_what_came_after_it() -> None:
    """From any position since the base, the later batches are what was missed, oldest first."""
    ring, prepared = filled()
    assert ring.since(Snapshot.of(1001), Witness(0, 1000, NOW), LIVE) == prepared
    assert ring.since(Snapshot.of(1003), Witness(2, 1002, NOW), LIVE) == prepared[2:]
    assert ring.since(Snapshot.of(1004), Witness(3, 1003, NOW), LIVE) == []


def test_a_cursor_from_before_the_ring_is_not_served() -> None:
    """What a cursor does not see and the ring has let go of is lost to memory."""
    ring, prepared = filled(capacity=2)
    assert len(ring) == 2
    assert ring.since(Snapshot.of(1001), Witness(0, 1000, NOW), LIVE) is None
    assert ring.since(Snapshot.of(1002), Witness(1, 1001, NOW), LIVE) == prepared[1:]


def test_a_cursor_ahead_of_this_relay_is_not_served() -> None:
    """A position of another relay that sees more than was published here would bring events twice."""
    ring, _ = filled()
    assert ring.since(Snapshot.of(1005), Witness(3, 1003, NOW), Snapshot.of(1004)) is None
    assert ring.since(Snapshot.of(1004), Witness(3, 1003, NOW), Snapshot.of(1004, [1003])) is None


def test_a_witness_that_was_never_read_here_is_not_believed() -> None:
    """After a crash, ids can mean other rows; only a witness in the ring, or that of the base, proves the history."""
    ring, _ = filled()
    for witness in (Witness(2, 1009, NOW), Witness(9, 1002, NOW), Witness(2, 1002), None):
        assert ring.since(Snapshot.of(1003), witness, LIVE) is None
    ring.clear()
    ring.add(Prepared(), batch(xmax=1001))
    assert ring.since(Snapshot.of(1001), None, LIVE) == []


def test_a_transaction_that_was_running_is_served_from_its_batch() -> None:
    """A cursor with a running transaction misses its batch, though it covers others around it."""
    ring = Ring(100)
    ring.add(Prepared(), batch(snapshot=Snapshot.of(1000)))
    first, second = Prepared(), Prepared()
    ring.add(first, batch([change(2, "insert", image(), xid=1002)], snapshot=Snapshot.of(1003, [1001])))
    ring.add(second, batch([change(1, "insert", image(), xid=1001)], snapshot=Snapshot.of(1004)))
    assert ring.since(Snapshot.of(1003, [1001]), Witness(2, 1002, NOW), LIVE) == [second]


def test_parts_of_a_large_commit_are_kept_and_let_go_together() -> None:
    """The base only moves to a position; a ring in the middle of a commit it cannot hold serves nobody."""
    ring = Ring(2)
    ring.add(Prepared(), batch(xmax=1001))
    for id in (1, 2, 3):
        ring.add(Prepared(), batch([change(id, "insert", image(id), xid=1001)], xmax=None))
    assert ring.since(Snapshot.of(1001), None, LIVE) is None
    ring.add(Prepared(), batch(xmax=1002, witness=Witness(3, 1001, NOW)))
    assert ring.since(Snapshot.of(1001), None, LIVE) is None
    assert ring.since(Snapshot.of(1002), Witness(3, 1001, NOW), LIVE) == []


def test_idle_polls_take_no_room() -> None:
    """Batches without changes are kept as one, however many there are."""
    ring = Ring(10)
    for xmax in range(1001, 1100):
        ring.add(Prepared(), batch(xmax=xmax))
    assert len(ring) == 0
    missed = ring.since(Snapshot.of(1001), None, LIVE)
    assert missed is not None
    assert len(missed) == 1


def test_clearing_forgets_the_base_too() -> None:
    """After a gap nothing is served until a new position is known."""
    ring, _ = filled()
    ring.clear()
    assert ring.since(Snapshot.of(1004), Witness(3, 1003, NOW), LIVE) is None
    assert len(ring) == 0
