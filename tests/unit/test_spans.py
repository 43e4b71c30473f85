"""Sums over windows that move on with the clock, compared with adding everything up each time."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from relay.routing.aggregates.spans import Spans
from relay.routing.aggregates.trend import Trend

WINDOWS = (3, 10, 60)
START = 1_000_000
adds = st.tuples(st.integers(-70, 30), st.integers(0, 1), st.sampled_from([1, -1]), st.integers(0, 500))
steps = st.lists(st.one_of(adds, st.integers(0, 12), st.sampled_from([1500, 2000])), max_size=60)


@given(steps)
def test_a_window_is_the_sum_of_its_minutes(steps: list[tuple[int, int, int, int] | int]) -> None:
    """Rows come and go in the past and in the future while the clock goes on, in steps and in leaps."""
    minute = START
    spans = Spans(WINDOWS, 2, minute)
    trend = Trend(7, 4, 2, minute)
    rows: list[tuple[int, int, int, Decimal]] = []
    for step in steps:
        if isinstance(step, int):
            minute += step
            spans.advance(minute)
            trend.advance(minute)
        else:
            offset, kind, sign, cents = step
            row = (minute + offset, kind, sign, Decimal(sign * cents).scaleb(-2))
            if offset < -60:  # before every window nothing is kept, neither what comes nor what goes
                spans.add(row[0], kind, sign, sign, row[3])
                continue
            rows.append(row)
            spans.add(row[0], kind, sign, sign, row[3])
            trend.add(row[0], kind, sign, sign, row[3])
        for length in WINDOWS:
            window = spans.window(length)
            inside = [row for row in rows if row[0] >= minute - length]
            for kind in (0, 1):
                assert window.rows[kind] == sum(row[2] for row in inside if row[1] == kind)
                assert window.sum_of([kind]) == sum((row[3] for row in inside if row[1] == kind), Decimal(0))
                assert window.numbers_of([kind]) == window.of([kind])
        points = list(trend.points())
        assert [at for at, _ in points] == [(minute // 7 - back) * 7 for back in (3, 2, 1, 0)]
        for at, tally in points:
            assert sum(tally.rows) == sum(row[2] for row in rows if at <= row[0] < at + 7)


def test_what_has_left_the_longest_window_is_forgotten() -> None:
    """Memory holds sums for each minute of the longest window in which something was, and none before it."""
    spans = Spans(WINDOWS, 1, START)
    for minute in range(START - 60, START + 1000):
        spans.advance(max(minute, START))
        spans.add(minute, 0, 1, 0, Decimal(0))
    assert len(spans._cells) == 61
    spans.advance(START + 10_000)
    assert len(spans._cells) == 0


def test_time_per_row_does_not_grow_with_rows() -> None:
    """A row touches one minute and one span, whatever else is there."""
    spans = Spans(WINDOWS, 1, START)
    for minute in range(START - 60, START):
        spans.add(minute, 0, 1000, 0, Decimal(0))
    before = [tally.rows[0] for tally in spans._spans]
    spans.add(START - 5, 0, 1, 0, Decimal(0))
    after = [tally.rows[0] for tally in spans._spans]
    assert [later - earlier for earlier, later in zip(before, after, strict=True)] == [0, 1, 0]
