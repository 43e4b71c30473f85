"""Card numbers in text: found wherever they stand, and nothing else taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.routing.cards import ISSUERS, is_card_number, without_card_numbers
from tests.support.planted import card_numbers, luhn

#: Published for testing by the issuers and by Stripe.
KNOWN = [
    *("4242424242424242", "4000056655665556", "4222222222222", "5555555555554444", "2223003122003222"),
    *("378282246310005", "6011111111111117", "6500000000000002", "30569309025904", "36227206271667"),
    *("3566002020360505", "6200000000000005", "6759649826438453", "2200770212727079", "6074000000000008"),
]


@pytest.mark.parametrize("number", KNOWN)
def test_known_numbers_are_recognised(number: str) -> None:
    """Each issuer's test number is a card number, and with its last digit changed it is none."""
    assert is_card_number(number)
    assert not is_card_number(number[:-1] + str((int(number[-1]) + 1) % 10))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("4242 4242 4242 4242", "#"),
        ("4242-4242-4242-4242", "#"),
        ("3782 822463 10005", "#"),
        ("4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2", "#"),
        ("4242 - 4242 - 4242 - 4242", "#"),
        ("4242\u00a04242\u00a04242\u00a04242", "#"),
        ("4242–4242–4242–4242", "#"),
        ("４２４２ ４２４２ ４２４２ ４２４２", "#"),
        ("PAN4242424242424242,", "PAN#,"),
        ("paid 4242424242424242 12 26 123", "paid # 12 26 123"),
        ("order 7 4242424242424242", "order 7 #"),
        ("4242424242424242/5555555555554444", "#/#"),
        ("4242424242424242 5555555555554444", "#"),
        # Not these.
        ("4242424242424241", "4242424242424241"),
        ("994242424242424242", "994242424242424242"),
        ("42424242424242424242424242424242", "42424242424242424242424242424242"),
        ("1234567890123452", "1234567890123452"),
        ("424242424242", "424242424242"),
        ("4242.4242.4242.4242", "4242.4242.4242.4242"),
        ("2026-03-01T12:30:00.123456+00:00", "2026-03-01T12:30:00.123456+00:00"),
        ("", ""),
    ],
)
def test_numbers_are_found_in_groups(text: str, left: str) -> None:
    """Spaces and dashes between digits do not hide a number; no part of a longer number is one."""
    shown = without_card_numbers(text, "#")
    assert shown.replace("# #", "#") == left
    assert (shown is text) is (shown == text)


@given(card_numbers(), st.text("0123456789 -", max_size=12), st.text("0123456789 -", max_size=12))
def test_a_number_among_others_never_survives(number: str, before: str, after: str) -> None:
    """Whatever numbers stand before and behind it, apart by a space, nothing of a card number is left but four digits.

    (Four at either end, where the last group of one and the first of the next also read as a number.)
    """
    text = without_card_numbers(f"{before} {number} {after}", "#")
    assert number not in text


@given(card_numbers(gaps=False), st.characters(exclude_categories=["Nd"], exclude_characters=" -"))
def test_letters_around_a_number_do_not_hide_it(number: str, letter: str) -> None:
    """A number glued to anything but digits is found."""
    assert number not in without_card_numbers(f"{letter}{number}{letter}", "#")


@given(st.text("0123456789", min_size=12, max_size=18))
def test_the_check_digit_is_that_of_luhn(digits: str) -> None:
    """Of the ten digits that could end a number at most one makes it a card number: the one Luhn's formula gives."""
    right = luhn(digits)
    found = [digits + last for last in "0123456789" if is_card_number(digits + last)]
    assert found in ([], [right])
    issued = any(
        len(right) in lengths and any(low <= right[: len(low)] <= high for low, high in ranges)
        for ranges, lengths in ISSUERS.values()
    )
    assert bool(found) is issued


@given(st.text())
def test_text_without_digits_is_left_alone(text: str) -> None:
    """Where there is no card number the very same object comes back."""
    letters = "".join(each for each in text if not each.isdecimal())
    assert without_card_numbers(letters, "#") is letters
