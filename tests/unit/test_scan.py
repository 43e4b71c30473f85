"""The scan of text and JSON for what must not leave."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import jsontext
from relay.routing.scan import REMOVED, SECRETS, clean_excerpt, clean_json, clean_text, may_hold_any
from tests.support.planted import card_numbers, secrets

CARD = "4242424242424242"
SAMPLES = {
    "Stripe API key": "sk_live_51HabcDEF",
    "Stripe webhook secret": "whsec_abcdef12",
    "Stripe client secret": "pi_3Mtw_secret_YrKJ",
    "JSON Web Token": "eyJhbGciOiJub25l.eyJzdWIiOiIxIn0.",
    "bearer token": "Bearer abc123def",
    "Django REST token": "Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
    "Django password hash": "argon2$argon2id$v=19",
    "private key": "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
    "AWS access key": "AKIAIOSFODNN7EXAMPLE",
}
PLANTED = card_numbers() | secrets
#: Around what is planted: anything that is not itself part of a token or number.
AROUND = st.text(string.ascii_letters + " .,:;()[]{}'\"\n\\/éß€", max_size=20)
LEAVES = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(max_size=20)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=20
)


def test_every_kind_of_secret_has_a_sample() -> None:
    """The samples below are of all the secrets that are looked for."""
    assert set(SAMPLES) == set(SECRETS)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_secret_is_removed_and_the_rest_stays(name: str) -> None:
    """A secret in a sentence is replaced by [removed], whole."""
    text = f"it says: {SAMPLES[name]} and so on"
    assert clean_text(text) == f"it says: {REMOVED} and so on"
    assert clean_text(SAMPLES[name]) == REMOVED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pi_3MtwBwLkdIwHu7ix28a3tqPa",
        "the bearer of bad news",
        "a bearer instrument",
        "a token of gratitude",
        "price: $100, or 100$ each, thirteen",
        "ask_test_people later on, they know",
        "12345678-1234-1234-1234-123456789012",
        "Zoë Müller-Lüdenscheidt <zoe@example.com>",
        "the private key is under the mat",
        "card declined: insufficient_funds",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """What people, machines and Stripe ordinarily write is the same object afterwards."""
    assert clean_text(text) is text


@given(PLANTED, AROUND, AROUND)
def test_nothing_planted_survives(planted: str, before: str, after: str) -> None:
    """Whatever stands around a card number or a secret, it is gone afterwards, and looking fast does not miss it."""
    text = f"{before} {planted} {after}"
    assert may_hold_any(text)
    assert planted not in clean_text(text)


@given(PLANTED, JSON)
def test_nothing_planted_survives_in_json(planted: str, value: Any) -> None:
    """In lists, objects and their keys it is gone, too, and the JSON text already shows that it may be there."""
    nested = [value, {"a": [{"b": planted}], f"x {planted}": 1}]
    assert may_hold_any(jsontext.encode(nested).decode())
    text = jsontext.encode(clean_json(nested)).decode()
    assert jsontext.encode(planted).decode().strip('"') not in text


@given(st.text() | AROUND)
def test_looking_fast_misses_nothing(text: str) -> None:
    """Text that is not worth a closer look is clean; and what was cleaned once is clean."""
    cleaned = clean_text(text)
    assert may_hold_any(text) or cleaned is text
    assert clean_text(cleaned) == cleaned


@given(JSON)
def test_clean_json_comes_back_as_it_was(value: Any) -> None:
    """JSON in which nothing is found is the same object."""
    cleaned = clean_json(value)
    if jsontext.encode(cleaned) == jsontext.encode(value):
        assert cleaned is value


def test_numbers_in_json_may_be_card_numbers() -> None:
    """A whole number in JSON has no type that calls it an id; booleans, small and broken numbers are left alone."""
    assert clean_json({"pan": int(CARD), "n": 3, "on": True}) == {"pan": REMOVED, "n": 3, "on": True}
    assert clean_json(int(CARD) + 1) == int(CARD) + 1
    assert clean_json(-int(CARD)) == -int(CARD)


@pytest.mark.parametrize(
    "piece",
    [
        "eyJ",
        "eyJ-",
        "bearer.",
        "bearer:",
        "a_",
        "aa_aa",
        "-----BEGIN ",
        "sk_live_",
        "1",
        "token ",
        "$",
        "4242-",
    ],
)
def test_no_text_takes_more_than_linear_time(piece: str) -> None:
    """Twice as much of text that is made to be slow does not take many times as long."""
    import time

    def spent(length: int) -> float:
        text = (piece * length)[:length]
        best = 9.0
        for _ in range(3):
            started = time.process_time()
            clean_text(text)
            best = min(best, time.process_time() - started)
        return best

    assert spent(40_000) < 8 * spent(10_000) + 0.005


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("declined: 4242 4242 4242 42", "declined:"),
        ("declined: 424242424242424", "declined:"),
        ("Authorization: Bearer abc123de", "Authorization: Bearer"),
        ("all is well that ends", "all is well that"),
        ("one", ""),
    ],
)
def test_what_was_cut_in_half_goes(text: str, left: str) -> None:
    """The last word of a text that was cut, and digits before it, may be the half of what would have been found."""
    assert clean_excerpt(text, len(text)) == left
    assert clean_excerpt(text, len(text) + 1) == clean_text(text)
