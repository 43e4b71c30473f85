"""What must never leave: card numbers that are valid and secrets of every kind that is looked for, made at random."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from relay.routing.cards import ISSUERS

__all__ = ["card_numbers", "luhn", "secrets"]

_WORD = string.ascii_letters + string.digits


def luhn(digits: str) -> str:
    """``digits`` with the check digit that makes them a card number, computed digit by digit."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


@st.composite
def card_numbers(draw: st.DrawFn, gaps: bool = True) -> str:
    """A number of any known issuer and length, in groups of any size unless without ``gaps``."""
    ranges, lengths = ISSUERS[draw(st.sampled_from(sorted(ISSUERS)))]
    low, high = draw(st.sampled_from(ranges))
    prefix = str(draw(st.integers(int(low), int(high))))
    length = draw(st.sampled_from(list(lengths)))
    rest = draw(st.text(string.digits, min_size=length - len(prefix) - 1, max_size=length - len(prefix) - 1))
    number = luhn(prefix + rest)
    if not gaps:
        return number
    cuts = draw(st.lists(st.sampled_from(["", "", "", " ", "-"]), min_size=length - 1, max_size=length - 1))
    return "".join(digit + gap for digit, gap in zip(number, [*cuts, ""], strict=True))


def _text(low: int, high: int, alphabet: str = _WORD) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=low, max_size=high)


secrets: st.SearchStrategy[str] = st.one_of(
    st.builds("{}{}".format, st.sampled_from(["sk_live_", "sk_test_", "rk_live_", "rk_test_"]), _text(8, 40)),
    st.builds("whsec_{}".format, _text(16, 40)),
    st.builds("{}_{}_secret_{}".format, st.sampled_from(["pi", "seti"]), _text(8, 24), _text(8, 24)),
    st.builds("eyJ{}.eyJ{}.{}".format, _text(10, 40), _text(10, 40), _text(10, 40)),
    st.builds("Bearer {}1".format, _text(10, 40)),
    st.builds("{}oken {}".format, st.sampled_from("Tt"), _text(40, 64, "0123456789abcdef")),
    st.builds("pbkdf2_sha256$600000${}${}=".format, _text(8, 22), _text(20, 44)),
    st.builds(
        "-----BEGIN {}PRIVATE KEY-----\n{}\n-----END {}PRIVATE KEY-----".format,
        st.just("RSA "),
        _text(20, 60),
        st.just("RSA "),
    ),
    st.builds("AKIA{}".format, _text(16, 16, string.ascii_uppercase + string.digits)),
)
