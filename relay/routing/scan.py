"""The last line: card numbers and secrets that got into free text do not leave the house.

Nothing like them should be in a field that a channel shows. But people paste, and error messages quote: what they
wrote is searched by its form, and ``[removed]`` stands where something was found. Which fields are searched, and that
it was counted, is the business of :mod:`relay.routing.scrub`.

None of the patterns takes more than linear time, whatever the text: it comes from strangers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from relay.routing.cards import FEWEST_DIGITS, MOST_DIGITS, NEXT_DIGIT, is_card_number, without_card_numbers

__all__ = ["REMOVED", "SECRETS", "clean_excerpt", "clean_json", "clean_text", "may_hold_any"]

REMOVED: Final = "[removed]"

#: Secrets by the name they are documented under. None is shorter than a card number.
SECRETS: Mapping[str, re.Pattern[str]] = {
    "Stripe API key": re.compile(r"(?<![A-Za-z0-9])[sr]k_(?:live|test)_\w{5,}"),
    "Stripe webhook secret": re.compile(r"whsec_[\w+/=-]{7,}"),
    "Stripe client secret": re.compile(r"(?<![A-Za-z0-9])[a-z]{2,12}_[A-Za-z0-9]+_secret_\w{2,}"),
    # RFC 7515 §3.1: the header begins with {" and so always encodes to eyJ.
    "JSON Web Token": re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{2,}(?:\.[\w-]*){0,3}"),
    # RFC 6750 §2.1. A word may follow "bearer", too; but a token has digits, or is longer than any word.
    "bearer token": re.compile(
        r"\b[Bb](?:earer|EARER)[\s:=]{1,3}(?:(?=[\w.~+/=-]*\d)[\w.~+/=-]{6,}|[\w.~+/=-]{24,})"
    ),
    "Django REST token": re.compile(r"\b[Tt](?:oken|OKEN)[\s:=\"']{1,5}[0-9a-f]{40,}"),
    "Django password hash": re.compile(
        r"\b(?:pbkdf2_sha\d+|bcrypt(?:_sha256)?|argon2|scrypt|md5)\$[^\s\"']{8,}"
    ),
    "private key": re.compile(
        r"(?s)-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY.*?(?:-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY-----|\Z)"
    ),
    "AWS access key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
}

_STRIPE: Final = re.compile(r"_(?:live_|test_|secret_|(?<=whsec_))")
_NOT_DIGITS: Final = bytes(byte for byte in range(256) if not 48 <= byte <= 57)
_GROUP: Final = re.compile(r"\d+")
_SHORT: Final = 200
#: Whole groups of digits, as many as a card number has.
_NUMBER: Final = re.compile(rf"\d(?<!\d\d)(?:{NEXT_DIGIT}){{{FEWEST_DIGITS - 1},{MOST_DIGITS - 1}}}(?!\d)")


def may_hold_any(text: str) -> bool:
    """Whether there could be something for :func:`clean_text` in ``text``, a string or JSON. False is certain.

    Each secret has some word or mark in it, and looking for those is much cheaper than looking for its form.
    """
    if len(text) < FEWEST_DIGITS:
        return False
    return (
        ("_" in text and _STRIPE.search(text) is not None)
        or "$" in text
        or "eyJ" in text
        or "earer" in text
        or "EARER" in text
        or "oken" in text
        or "OKEN" in text
        or "AKIA" in text
        or "ASIA" in text
        or "PRIVATE KEY" in text
        or _may_hold_card_number(text)
    )


def _may_hold_card_number(text: str) -> bool:
    if text.isascii() and len(text.encode().translate(None, _NOT_DIGITS)) < FEWEST_DIGITS:
        return False
    if len(text) > _SHORT:
        # Of a number that is longer than any card's, no part is one. To count pays only where the search is long.
        lengths = [len(group) for group in _GROUP.findall(text)]
        if sum([each for each in lengths if each <= MOST_DIGITS]) < FEWEST_DIGITS:
            return False
    return _NUMBER.search(text) is not None


def clean_text(text: str) -> str:
    """``text`` with ``[removed]`` in the place of every card number and secret; the same object if there is none."""
    for pattern in SECRETS.values():
        if pattern.search(text) is not None:
            text = pattern.sub(REMOVED, text)
    return without_card_numbers(text, REMOVED)


def clean_excerpt(text: str, limit: int) -> str:
    """The same for the first ``limit`` characters of a text: what was perhaps cut in half at its end goes, too."""
    if len(text) >= limit:
        text = text.rpartition(" ")[0].rstrip("0123456789 -")
    return clean_text(text)


def clean_json(value: Any) -> Any:
    """The same for a JSON value: its strings, the keys of its objects, and whole numbers that are card numbers.

    (Elsewhere a number's field says that it is an id or an amount; in JSON nothing does.) The value itself if it is
    clean. It may not be nested more deeply than Python's stack allows.
    """
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return REMOVED if value > 0 and is_card_number(str(value)) else value
    if isinstance(value, list):
        items = [clean_json(item) for item in value]
        return value if all(map(_same, items, value)) else items
    if isinstance(value, dict):
        pairs = {clean_text(key): clean_json(item) for key, item in value.items()}
        return (
            value
            if all(map(_same, pairs, value)) and all(map(_same, pairs.values(), value.values()))
            else pairs
        )
    return value


def _same(one: Any, other: Any) -> bool:
    return one is other
