"""Cursors: what is written can be read, nothing else can, and none is too long."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.capture.cursor import CURSOR_CHARS, CURSOR_XIDS, Cursor, Epoch, Witness, marks_of
from relay.capture.snapshot import FIRST_XID, Snapshot
from relay.errors import CursorInvalid

EPOCH = Epoch(7_600_000_000_000_000_001, 16384, 1, UUID(int=5))
AT = datetime(2026, 3, 1, tzinfo=UTC)

numbers = st.integers(min_value=FIRST_XID, max_value=2**64 - 1)
witnesses = st.none() | st.builds(
    Witness,
    st.integers(min_value=0, max_value=2**63 - 1),
    numbers,
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
epochs = st.builds(
    Epoch,
    st.integers(min_value=0, max_value=2**64 - 1),
    st.integers(min_value=0, max_value=2**32 - 1),
    st.integers(min_value=0, max_value=2**32 - 1),
    st.uuids(),
)
snapshots = st.builds(Snapshot.of, numbers, st.frozensets(numbers, max_size=50))
marks = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=20).map(marks_of)


@given(epochs, snapshots, witnesses, marks)
def test_what_is_written_can_be_read(
    epoch: Epoch, snapshot: Snapshot, witness: Witness | None, marks: tuple[tuple[int, int], ...]
) -> None:
    """Decoding gives the same cursor back, and its text needs no quoting in a URL."""
    cursor = Cursor.of(epoch, snapshot, witness, marks)
    text = cursor.encode()
    assert Cursor.decode(text) == cursor
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert snapshot.covers(cursor.snapshot)


@pytest.mark.parametrize("step", [1, 7, 2**40])
def test_a_cursor_is_never_too_long(step: int) -> None:
    """With more running transactions than fit it says less: still true, still within 4,096 characters."""
    snapshot = Snapshot.of(10 + 5000 * step, range(10, 10 + 5000 * step, step))
    cursor = Cursor.of(EPOCH, snapshot, Witness(1, 2, AT), marks_of({str(n): "x" for n in range(128)}))
    assert len(cursor.encode()) <= CURSOR_CHARS
    assert len(cursor.snapshot.xip) <= CURSOR_XIDS
    assert snapshot.covers(cursor.snapshot)
    assert cursor.snapshot.sees(9)


GOOD = Cursor.of(EPOCH, Snapshot.of(1000, [990, 995]), Witness(5, 989, AT)).encode()


@given(st.integers(min_value=0, max_value=len(GOOD) - 1), st.sampled_from(string.ascii_letters + "-_=+/ é"))
def test_an_altered_cursor_is_refused_or_another_cursor(position: int, character: str) -> None:
    """Changing one character gives an error or a different cursor in canonical form, never a crash."""
    text = GOOD[:position] + character + GOOD[position + 1 :]
    try:
        cursor = Cursor.decode(text)
    except CursorInvalid:
        return
    assert cursor.encode() == text


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.hex()))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Any text is either a cursor or CursorInvalid."""
    try:
        cursor = Cursor.decode(text)
    except CursorInvalid:
        return
    assert cursor.encode() == text


@pytest.mark.parametrize(
    "text",
    ["", GOOD + "A", GOOD[:-1], GOOD + "=", "A" * (CURSOR_CHARS + 1), "Ag" + GOOD[2:], "AQ", "\ud800", "é"],
)
def test_these_are_no_cursors(text: str) -> None:
    """Empty, longer, shorter, padded, too long, of another version, or not even text."""
    with pytest.raises(CursorInvalid):
        Cursor.decode(text)


def test_numbers_out_of_range_are_refused() -> None:
    """A running transaction at or past xmax, or below the first id, cannot be written in."""
    forged = Cursor(EPOCH, Snapshot(3, 5, frozenset({2})), None).encode()
    with pytest.raises(CursorInvalid, match="range"):
        Cursor.decode(forged)


def test_marks_tell_which_sources_are_captured_otherwise() -> None:
    """A source whose fingerprint changed, or that was not captured then, is told; the others are not."""
    cursor = Cursor.of(EPOCH, Snapshot.of(10), None, marks_of({"a": "1", "b": "1"}))
    assert cursor.broken({"a": "1", "b": "1"}) == frozenset()
    assert cursor.broken({"a": "2", "b": "1", "c": "1"}) == {"a", "c"}
    assert cursor.broken({}) == frozenset()


def test_the_newest_row_is_of_the_youngest_transaction() -> None:
    """Order is by transaction, then by id: an older transaction may own a higher id."""
    assert max(Witness(9, 5), Witness(1, 6), Witness(2, 6), key=lambda witness: witness.order) == Witness(
        2, 6
    )


def test_an_epoch_reads_like_what_it_is() -> None:
    """Its text names system, database, timeline and installation."""
    assert str(EPOCH) == "7600000000000000001.16384.00000001.00000000-0000-0000-0000-000000000005"
