"""Exact arithmetic, and rounding as PostgreSQL rounds: half away from zero."""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact
from typing import Any, Final

__all__ = ["EXACT", "ZERO", "amount_of", "average", "long_average", "money", "rate", "rounded"]

#: Sums of any numeric there can be (131,072 digits before the point, 16,383 after it) without rounding. Python's own
#: context would round to 28 digits, unsaid.
EXACT: Final = Context(prec=200_000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])
ZERO: Final = Decimal(0)

# numeric.c, select_div_scale(): a quotient has at least this many significant digits, in groups of four.
_SIGNIFICANT: Final = 16
_GROUP: Final = 4
_MOST_DIGITS: Final = 1000


def amount_of(value: Any) -> Decimal | None:
    """A captured number; None for NULL, NaN and the infinities, which no sum is made of."""
    if isinstance(value, Decimal):
        return value
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def rounded(numerator: int, denominator: int, places: int) -> Decimal:
    """``numerator / denominator`` (denominator positive) to ``places`` decimals, half away from zero."""
    doubled = 2 * abs(numerator) * 10**places + denominator
    digits = doubled // (2 * denominator)
    return Decimal(-digits if numerator < 0 else digits).scaleb(-places, EXACT)


def rate(part: int, whole: int) -> Decimal:
    """``round(100.0 * part / whole, 2)``, 0.00 of nothing."""
    return rounded(100 * part, whole, 2) if whole else Decimal("0.00")


def average(total: Decimal, count: int) -> Decimal:
    """``round(total / count, 2)``, 0.00 of nothing."""
    if not count:
        return Decimal("0.00")
    numerator, denominator = total.as_integer_ratio()
    return rounded(numerator, denominator * count, 2)


def long_average(total: Decimal, count: int) -> Decimal:
    """``total / count`` with as many digits as PostgreSQL's ``avg(numeric)`` gives, 0.00 of nothing."""
    if not count:
        return Decimal("0.00")
    scale = _quotient_scale(total, Decimal(count))
    numerator, denominator = total.as_integer_ratio()
    return rounded(numerator, denominator * count, scale)


def _quotient_scale(dividend: Decimal, divisor: Decimal) -> int:
    (weight1, first1), (weight2, first2) = _leading(dividend), _leading(divisor)
    weight = weight1 - weight2 - (1 if first1 <= first2 else 0)
    scale = max(_SIGNIFICANT - weight * _GROUP, _scale(dividend), _scale(divisor), 0)
    return min(scale, _MOST_DIGITS)


def _leading(value: Decimal) -> tuple[int, int]:
    """The weight and the value of the first group of four digits that is not 0, as numeric keeps them."""
    if not value:
        return 0, 0
    weight = value.adjusted() // _GROUP
    group = abs(value).scaleb(-weight * _GROUP, EXACT)
    return weight, int(group)


def _scale(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def money(value: Decimal) -> Decimal:
    """The same number with two decimals, or more where it has more: 5 is 5.00, 5.125 stays, 5.1250 becomes 5.125.

    What a sum looks like must not depend on which rows it once held.
    """
    whole, _, fraction = f"{value:f}".partition(".")
    return Decimal(f"{whole}.{fraction.rstrip('0').ljust(2, '0')}")
