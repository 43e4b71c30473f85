"""What must not leave, and who must not get it: the material of the leak tests.

Every planted value is unlike any other text, and it is written down who may read it. Whatever anybody is sent is then
searched for all of them. People are named by role; "nobody" is simply an empty set.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from relay.routing.cards import ISSUERS
from tests.support.planted import luhn

__all__ = ["NORTH", "SOUTH", "Plants", "leaves"]

#: Schools by ids that no other number is like, for they are never shown either.
NORTH, SOUTH = 7_100_000_001, 7_200_000_002
#: So much of a card number is too much of it.
TELLING = 9
_WORD = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"
_SEPARATORS = re.compile(r"[\s\-\u00a0\u2007\u2009\u202f\u2010-\u2014]")


def leaves(value: Any) -> Iterator[str]:
    """Every key and every value of a JSON value as text."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield str(value)


@dataclass
class _Plant:
    what: str
    text: str
    allowed: set[str]
    card: bool = False

    def shows(self, spread: str, digits: str) -> bool:
        """Whether a frame lets it be seen: as ``spread``, all its text, or ``digits``, the same without separators."""
        if not self.card:
            return self.text in spread
        return self.text[:TELLING] in digits or self.text[-TELLING:] in digits


class Plants:
    """All that was planted so far. ``find`` tells what of it somebody got who may not."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._plants: list[_Plant] = []

    def word(self, length: int = 16, alphabet: str = _WORD) -> str:
        """Random text; of this length it occurs once."""
        return "".join(self.random.choices(alphabet, k=length))

    def put(self, what: str, allowed: Collection[str] = (), text: str = "") -> str:
        """Text that only those of ``allowed`` may ever be sent: a random one, or ``text``."""
        plant = _Plant(what, text or f"{what}-{self.word()}", set(allowed))
        self._plants.append(plant)
        return plant.text

    def allow(self, texts: Collection[str], role: str) -> None:
        """From now on ``role`` may read these, too."""
        for plant in self._plants:
            if plant.text in texts:
                plant.allowed.add(role)

    def card(self) -> str:
        """A valid card number as somebody would write it, in groups or not."""
        ranges, lengths = ISSUERS[self.random.choice(sorted(ISSUERS))]
        low, high = self.random.choice(list(ranges))
        prefix = str(self.random.randint(int(low), int(high)))
        length = self.random.choice([each for each in lengths if each >= 14])
        number = luhn(prefix + self.word(length - len(prefix) - 1, string.digits))
        self._plants.append(_Plant("card", number, set(), card=True))
        gap, size = self.random.choice(["", " ", "-", " - ", "\u00a0"]), self.random.choice([4, 5])
        return gap.join(number[place : place + size] for place in range(0, length, size))

    def secret(self) -> str:
        """A secret of one of the kinds that people paste."""
        word = self.word
        kinds = (
            f"sk_live_{word(24)}",
            f"rk_test_{word(24)}",
            f"whsec_{word(32)}",
            f"pi_{word(16)}_secret_{word(16)}",
            f"eyJ{word(20)}.eyJ{word(30)}.{word(30)}",
            f"token {word(40, _HEX)}",
            f"pbkdf2_sha256$600000${word(16)}${word(40)}=",
            f"AKIA{word(16, string.ascii_uppercase + string.digits)}",
            f"-----BEGIN RSA PRIVATE KEY-----\n{word(40)}\n-----END RSA PRIVATE KEY-----",
        )
        text = self.random.choice(kinds)
        # The telling part: a frame that says "token [removed]" has told nothing.
        for part in re.findall(r"[A-Za-z0-9]{16,}", text):
            self.put("secret", text=part)
        return text

    def dirt(self) -> str:
        """A sentence with a card number, a secret or both in it."""
        parts = [self.random.choice([self.card, self.secret])() for _ in range(self.random.choice([1, 1, 2]))]
        return f"Customer wrote: {' and '.join(parts)}, please help"

    def find(self, role: str, frames: Iterable[Any]) -> list[tuple[str, Any]]:
        """What was planted and not for ``role``, and shows in ``frames``: what it is, and the frame."""
        wrong = [plant for plant in self._plants if role not in plant.allowed]
        found = []
        for frame in frames:
            spread = "\n".join(leaves(frame))
            digits = _SEPARATORS.sub("", spread.replace("\n", ";"))
            found += [(plant.what, frame) for plant in wrong if plant.shows(spread, digits)]
        return found

    def seen(self, role: str, frames: Iterable[Any]) -> set[str]:
        """The kinds of planted things for ``role`` that did show: so that a test knows that it looked."""
        spread = "\n".join(text for frame in frames for text in leaves(frame))
        return {plant.what for plant in self._plants if role in plant.allowed and plant.text in spread}
