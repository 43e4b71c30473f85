"""Card numbers in text: digits in groups, of a length their issuer uses, whose check digit is right.

A run of digits is cut where spaces and dashes cut it, and nowhere else: a number may stand among others ("4242 4242
4242 4242 12 26"), but a piece of a longer number is none. Every window of whole groups that reads as a card number
counts, also where windows overlap, so that no beginning of one leaves the end of another behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

__all__ = ["FEWEST_DIGITS", "ISSUERS", "MOST_DIGITS", "NEXT_DIGIT", "is_card_number", "without_card_numbers"]

FEWEST_DIGITS: Final = 13
MOST_DIGITS: Final = 19  # ISO/IEC 7812-1

#: Issuer -> the ranges (both ends included) that its numbers begin with, and the lengths they have.
ISSUERS: dict[str, tuple[tuple[tuple[str, str], ...], range | tuple[int, ...]]] = {
    "Visa": ((("4", "4"),), (13, 16, 19)),
    "Mastercard": ((("51", "55"), ("2221", "2720")), (16,)),
    "American Express": ((("34", "34"), ("37", "37")), (15,)),
    "Discover": ((("6011", "6011"), ("644", "649"), ("65", "65")), range(16, 20)),
    "Diners Club": ((("300", "305"), ("3095", "3095"), ("36", "36"), ("38", "39")), range(14, 20)),
    "JCB": ((("3528", "3589"),), range(16, 20)),
    "UnionPay": ((("62", "62"), ("81", "81")), range(16, 20)),
    "Maestro": (
        (
            ("5018", "5018"),
            ("5020", "5020"),
            ("5038", "5038"),
            ("5893", "5893"),
            ("6304", "6304"),
            ("6759", "6759"),
            ("6761", "6763"),
        ),
        range(13, 20),
    ),
    "Mir": ((("2200", "2204"),), range(16, 20)),
    "RuPay": ((("508", "508"), ("60", "60"), ("82", "82")), (16,)),
}

#: A space or a dash, of whichever kind an editor or a phone has put there.
_GAP = "[ \\-\u00a0\u2007\u2009\u202f\u2010-\u2014]"
#: One more digit of the same run. " - " is as much as may stand in between.
NEXT_DIGIT: Final = rf"{_GAP}{{0,3}}\d"
_RUN = re.compile(rf"\d(?:{NEXT_DIGIT}){{{FEWEST_DIGITS - 1},}}")
_GROUP = re.compile(r"\d+")
#: A digit at the second, fourth … place from the right counts double, with the digits of the product added up.
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def without_card_numbers(text: str, instead: str) -> str:
    """``text`` with ``instead`` in the place of every card number; the same object if there is none."""
    for run in reversed(list(_RUN.finditer(text))):
        groups = [(run.start() + each.start(), run.start() + each.end()) for each in _GROUP.finditer(run[0])]
        for start, end in reversed(list(_joined(_windows(text, groups)))):
            text = f"{text[:start]}{instead}{text[end:]}"
    return text


def is_card_number(digits: str) -> bool:
    """Whether a string of digits is a card number."""
    return any(True for _ in _windows(digits, [(0, len(digits))]))


def _windows(text: str, groups: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Where whole groups of digits make a card number, in the order of their beginnings."""
    # int() knows the digits of every script, as \d does.
    digits = [int(digit) for start, end in groups for digit in text[start:end]]
    # Sums up to each place, with every second digit doubled: from the even places on, and from the odd ones.
    sums = [
        list(
            accumulate((_DOUBLED[d] if place % 2 == odd else d for place, d in enumerate(digits)), initial=0)
        )
        for odd in (0, 1)
    ]
    bounds = list(accumulate((end - start for start, end in groups), initial=0))
    for first, (start, _) in enumerate(groups):
        for last in range(first, len(groups)):
            begin, stop = bounds[first], bounds[last + 1]
            if stop - begin > MOST_DIGITS:
                break
            # The Luhn formula (ISO/IEC 7812-1, annex B): the last digit, not doubled, makes the sum a multiple of ten.
            doubled = sums[stop % 2]
            if (
                stop - begin >= FEWEST_DIGITS
                and (doubled[stop] - doubled[begin]) % 10 == 0
                and _is_issued("".join(map(str, digits[begin:stop])))
            ):
                yield start, groups[last][1]


def _is_issued(digits: str) -> bool:
    return any(
        len(digits) in lengths and any(low <= digits[: len(low)] <= high for low, high in ranges)
        for ranges, lengths in ISSUERS.values()
    )


def _joined(windows: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Windows, in the order of their beginnings, with those that overlap made one."""
    joined: tuple[int, int] | None = None
    for start, end in windows:
        if joined is None:
            joined = start, end
        elif start < joined[1]:
            joined = joined[0], max(joined[1], end)
        else:
            yield joined
            joined = start, end
    if joined is not None:
        yield joined
