"""The latest of what comes and goes: known as long as the values that were kept last."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.routing.aggregates.engine import Recount
from relay.routing.aggregates.latest import Latest


def read(values: list[int], kept: int) -> list[tuple[int, int]]:
    """What SQL gives: the greatest values with the number of rows that have each."""
    return [(value, values.count(value)) for value in sorted(set(values), reverse=True)[:kept]]


@given(
    before=st.lists(st.integers(0, 12), max_size=12),
    moves=st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=40),
    early=st.integers(0, 40),
    kept=st.integers(1, 4),
)
def test_the_greatest_is_right_or_unknown(
    before: list[int], moves: list[tuple[int, bool]], early: int, kept: int
) -> None:
    """Rows come and go before and after what there was is loaded; whatever is told is the greatest of all rows."""
    latest: Latest[int] = Latest(kept)
    rows = list(before)
    for number, (value, comes) in enumerate(moves):
        if number == early:
            latest.load(read(before, kept))
        if comes:
            rows.append(value)
        elif value in rows:
            rows.remove(value)
        else:
            continue
        latest.add(value, 1 if comes else -1)
    if early >= len(moves):
        latest.load(read(before, kept))
    with contextlib.suppress(Recount):  # unknown it may be, but never wrong
        assert latest.greatest() == max(rows, default=None)


def test_without_anything_left_out_it_is_never_unknown() -> None:
    """Where everything there was is kept, no row is left when all have gone."""
    latest: Latest[int] = Latest(3)
    latest.load([(5, 2), (4, 1)])
    latest.add(5, -2)
    assert latest.greatest() == 4
    latest.add(4, -1)
    assert latest.greatest() is None


def test_when_all_that_was_kept_has_gone_it_is_unknown() -> None:
    """Behind the values that were kept there may be others, so the last of them to go takes the answer along."""
    latest: Latest[int] = Latest(2)
    latest.load([(5, 1), (4, 1)])
    latest.add(1, 1)
    latest.add(5, -1)
    latest.add(4, -1)
    with pytest.raises(Recount, match="row_unknown"):
        latest.greatest()


def test_no_more_than_twice_as_many_are_kept() -> None:
    """New values push the lowest ones out, and what is out does not come back as known."""
    latest: Latest[int] = Latest(2)
    latest.load([])
    for value in range(10):
        latest.add(value, 1)
    for value in (9, 8, 7):
        latest.add(value, -1)
    assert latest.greatest() == 6
    for value in (6, 5, 4, 3, 2):
        latest.add(value, -1)
    with pytest.raises(Recount):
        latest.greatest()


def test_too_many_unsettled_values_are_given_up() -> None:
    """What comes and goes while counting has just begun is not remembered without bound."""
    latest: Latest[int] = Latest()
    for value in range(100_000):
        latest.add(value, -1)
    with pytest.raises(Recount, match="overflow"):
        latest.add(100_000, -1)
