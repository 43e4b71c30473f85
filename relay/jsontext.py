"""JSON text in and out, without ever passing a number through a binary float.

msgspec is used because it keeps ``150.00`` as ``Decimal("150.00")`` in both directions and is about five times as
fast as the standard library's ``json``; ``json`` cannot write a Decimal as a number at all.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

__all__ = ["DEEPEST", "JSONError", "decode", "encode", "is_deeper"]

#: Lists and objects inside each other. What is deeper could be read, and then neither be compared nor written where the
#: stack happens to be a little longer: Python gives up at about a thousand calls, wherever it is.
DEEPEST: Final = 500

#: Raised by :func:`decode` for text that is not JSON.
JSONError = msgspec.DecodeError

#: PostgreSQL's numeric has no more digits. A ``json`` value may hold ``1e999999999`` all the same, and to make an
#: integer of that takes hours, in which nobody is told anything.
_MOST_DIGITS: Final = 131_072


def _number(text: str) -> Decimal:
    value = Decimal(text)
    if ("e" in text or "E" in text) and not -_MOST_DIGITS <= value.adjusted() <= _MOST_DIGITS:
        raise OverflowError
    return value


_decoder = msgspec.json.Decoder(float_hook=_number)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(text: str | bytes) -> Any:
    """Python values of one JSON text; numbers with a fraction or exponent become :class:`~decimal.Decimal`.

    Raises :data:`JSONError`, also for more than ``DEEPEST`` lists and objects inside each other, and for numbers with
    more digits than PostgreSQL's.
    """
    try:
        value = _decoder.decode(text)
    except RecursionError:
        raise JSONError("nested too deeply") from None
    except ArithmeticError:
        raise JSONError("a number out of range") from None
    if len(text) > 2 * DEEPEST and is_deeper(value, DEEPEST, text):
        raise JSONError("nested too deeply")
    return value


def is_deeper(value: Any, levels: int, text: str | bytes) -> bool:
    """Whether ``value``, a list or object whose JSON is ``text``, has more than so many inside each other."""
    # Brackets are counted quickly, and answer for nearly every text.
    if _brackets(text) <= levels:
        return False
    # Level by level, for to go down by calls is what cannot be done.
    level = [value]
    for _ in range(levels):
        level = [
            item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, list | dict)
        ]
        if not level:
            return False
    return True


def _brackets(text: str | bytes) -> int:
    """How many lists and objects there are, or more, for strings may hold some."""
    if isinstance(text, bytes):
        return text.count(b"[") + text.count(b"{")
    return text.count("[") + text.count("{")


def encode(value: Any) -> bytes:
    """One JSON text in UTF-8. A Decimal is written as the number it is, an aware datetime as ISO 8601."""
    return _encoder.encode(value)
