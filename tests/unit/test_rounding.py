"""Arithmetic without a rounding too many, and rounding as PostgreSQL does it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.routing.aggregates.rounding import EXACT, amount_of, average, long_average, money, rate, rounded


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6), st.integers(0, 20))
def test_rounding_is_half_away_from_zero(numerator: int, denominator: int, places: int) -> None:
    """The result differs from the exact quotient by at most half of its last digit, and by exactly half away from 0."""
    error = Fraction(rounded(numerator, denominator, places)) - Fraction(numerator, denominator)
    half = Fraction(1, 2 * 10**places)
    assert abs(error) <= half
    if abs(error) == half:
        assert (error > 0) == (numerator > 0)


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, "0.00"), (1, 3, "33.33"), (2, 3, "66.67"), (1, 8, "12.50"), (1, 800, "0.13"), (7, 7, "100.00")],
)
def test_rates(part: int, whole: int, shown: str) -> None:
    """A rate has two decimals; 0.125 becomes 0.13, where halves to even would give 0.12."""
    assert str(rate(part, whole)) == shown


def test_averages() -> None:
    """An average of amounts is rounded to cents, away from zero at the half; of nothing it is 0.00."""
    assert str(average(Decimal("0.05"), 2)) == "0.03"
    assert str(average(Decimal("-0.05"), 2)) == "-0.03"
    assert str(average(Decimal(0), 0)) == str(long_average(Decimal(0), 0)) == "0.00"


@pytest.mark.parametrize(
    ("total", "count", "shown"),
    [
        ("10.00", 3, "3.3333333333333333"),
        ("0.00", 5, "0.00000000000000000000"),
        ("150.00", 1, "150.0000000000000000"),
        ("123456.78", 7, "17636.682857142857"),
        ("1.00", 30000, "0.000033333333333333333333"),
    ],
)
def test_long_averages_have_the_digits_of_postgres(total: str, count: int, shown: str) -> None:
    """These are what SELECT avg() of such amounts printed."""
    assert f"{long_average(Decimal(total), count):f}" == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("5", "5.00"),
        ("5.1", "5.10"),
        ("5.125", "5.125"),
        ("5.1250", "5.125"),
        ("0", "0.00"),
        ("-3.5", "-3.50"),
        ("1E+3", "1000.00"),
    ],
)
def test_money_looks_the_same_whatever_was_summed(value: str, shown: str) -> None:
    """Two decimals, more only where they are not zero, never an exponent."""
    assert str(money(Decimal(value))) == shown


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=6), max_size=20))
def test_sums_are_exact(values: list[Decimal]) -> None:
    """Sums do not lose a digit, however far apart the summands are."""
    values.append(Decimal("1E+40"))
    total = Decimal(0)
    for value in values:
        total = EXACT.add(total, value)
    assert Fraction(total) == sum(map(Fraction, values))


def test_only_finite_numbers_are_amounts() -> None:
    """Postgres captures NaN and infinity as texts, and true is no 1."""
    assert amount_of(5) == 5
    assert amount_of(Decimal("1.50")) == Decimal("1.50")
    assert [amount_of(odd) for odd in ("NaN", "Infinity", None, True, "12")] == [None] * 5


@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_cents_round_as_decimal_does(cents: int, count: int) -> None:
    """Rounded averages agree with the decimal module's own half-up rounding."""
    exact = Decimal(cents).scaleb(-2) / count
    assert average(Decimal(cents).scaleb(-2), count) == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
