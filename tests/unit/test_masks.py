"""What each mask leaves of a value, and of which values nothing."""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config_masks import MASKS, MaskName
from relay.messages.fields import KINDS
from relay.routing.masks import ABSENT, REDACTED, accepts, key_mark, make_mask

KEY = b"a key that masks are tested with, 32+"
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=False),
    st.text(),
    st.lists(st.text()),
    st.dictionaries(st.text(), st.text()),
)


def masked(name: MaskName, value: Any) -> Any:
    """What ``name`` leaves of ``value``."""
    return make_mask(name, KEY)(value)


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [
        ("email", "ben.miller@example.com", "***@example.com"),
        ("email", "b@x", "***@x"),
        ("email", "ben@bücher.example", "***@bücher.example"),
        ("email", "no address", ABSENT),
        ("email", "@example.com", ABSENT),
        ("email", "ben@", ABSENT),
        ("email", "ben@example.com, ann@example.com", ABSENT),
        ("email", "Ben <ben@example.com>", ABSENT),
        ("email", "ben@example.com and more", ABSENT),
        ("email", "mail ben@example.com", ABSENT),
        ("email", "ben@ann@example.com", ABSENT),
        ("email", "ben@example.com\n", ABSENT),
        ("email", "ben@.example.com", ABSENT),
        ("email", f"ben@{'a' * 254}", ABSENT),
        ("email", 7, ABSENT),
        ("last4", "4242424242424242", "4242"),
        ("last4", "12345678", "5678"),
        ("last4", "1234567", ABSENT),
        ("last4", "4242", ABSENT),
        ("last4", 4242424242424242, ABSENT),
        ("last8", "pi_3MtwBwLkdIwHu7ix28a3tqPa", "28a3tqPa"),
        ("last8", "0123456789abcdef", "89abcdef"),
        ("last8", "0123456789abcde", ABSENT),
        ("last8", ["0123456789abcdef"], ABSENT),
        ("hash", True, ABSENT),
        ("hash", {"a": "b"}, ABSENT),
        ("hash", Decimal("1.5"), ABSENT),
        ("redact", "anything", REDACTED),
        ("redact", None, REDACTED),
        ("redact", "", REDACTED),
        ("redact", {"a": 1}, REDACTED),
        ("drop", "anything", ABSENT),
        ("drop", None, ABSENT),
    ],
)
def test_a_mask_leaves_what_it_says(name: MaskName, value: Any, left: Any) -> None:
    """A value is masked as documented; one that the mask cannot be applied to leaves the row."""
    assert masked(name, value) == left


@pytest.mark.parametrize("name", ["email", "last4", "last8", "hash"])
@pytest.mark.parametrize("empty", [None, ""])
def test_nothing_stays_nothing(name: MaskName, empty: Any) -> None:
    """NULL and empty text hide nothing: they are shown as they are, except by redact and drop."""
    assert masked(name, empty) == empty


def test_hashes_are_keyed_and_stable() -> None:
    """A hash is the first half of HMAC-SHA256 under the configured key, the same for a number and its text."""
    expected = hmac.new(KEY, b"ben@example.com", hashlib.sha256).hexdigest()[:32]
    assert masked("hash", "ben@example.com") == expected
    assert masked("hash", 7) == masked("hash", "7")
    assert make_mask("hash", b"another key, of thirty-two bytes!!")("7") != masked("hash", "7")


def test_the_mark_of_a_key_tells_keys_apart() -> None:
    """It changes with the key, and is no hash of any value that is shown."""
    assert key_mark(KEY) == key_mark(KEY) != key_mark(KEY + b"x")
    assert len(key_mark(KEY)) == 12


@given(st.sampled_from(MASKS), ANYTHING)
def test_no_mask_fails_and_none_gives_the_value_back(name: MaskName, value: Any) -> None:
    """Whatever the value: it is masked, absent, or there was nothing in it to hide."""
    left = masked(name, value)
    assert left is ABSENT or isinstance(left, str) or value is None
    if value not in (None, "", REDACTED) and left is not ABSENT:
        assert left != value


@given(st.text(min_size=1))
def test_at_least_half_stays_hidden(value: str) -> None:
    """The last characters of a text are shown only where at least as many are not."""
    for name, shown in (("last4", 4), ("last8", 8)):
        left = masked(name, value)  # type: ignore[arg-type]  # both are names of masks
        assert left is ABSENT if len(value) < 2 * shown else left == value[-shown:]


@given(st.text())
def test_of_an_address_only_the_domain_is_left(value: str) -> None:
    """What stands before the at sign never shows, and what is shown behind it holds no sign of another address."""
    left = masked("email", value)
    if left is not ABSENT and value:
        assert left == f"***@{value.rpartition('@')[2]}"
        assert not set(left[4:]) & set("@ \t\n<>,;\"'")


@given(st.emails(), st.emails())
def test_people_of_one_domain_look_alike(one: str, other: str) -> None:
    """The masked address depends on the domain alone."""
    domain = one.rpartition("@")[2]
    same = f"{other.rpartition('@')[0]}@{domain}"
    assert ABSENT in (masked("email", one), masked("email", same)) or masked("email", one) == masked(
        "email", same
    )


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("email", {"string", "auto"}),
        ("last4", {"string", "auto"}),
        ("last8", {"string", "auto"}),
        ("hash", {"string", "auto", "integer", "bigint"}),
        ("redact", set(KINDS)),
        ("drop", set(KINDS)),
    ],
)
def test_masks_are_for_kinds_of_fields(name: MaskName, kinds: set[str]) -> None:
    """A mask that could never be applied to a kind of field does not accept it."""
    assert {kind.name for kind in KINDS.values() if accepts(name, kind)} == kinds
