"""JSON text in and out, without ever passing a number through a binary float.

msgspec is used because it keeps ``150.00`` as ``Decimal("150.00")`` in both directions and is about five times as
fast as the standard library's ``json``; ``json`` cannot write a Decimal as a number at all.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

__all__ = ["JSONError", "decode", "encode"]

#: Raised by :func:`decode` for text that is not JSON.
JSONError = msgspec.DecodeError

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(text: str | bytes) -> Any:
    """Python values of one JSON text; numbers with a fraction or exponent become :class:`~decimal.Decimal`.

    Raises :data:`JSONError`, also for lists and objects inside each other about a thousand times, and for exponents
    outside of Decimal's range.
    """
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise JSONError("nested too deeply") from None
    except ArithmeticError:
        raise JSONError("a number out of range") from None


def encode(value: Any) -> bytes:
    """One JSON text in UTF-8. A Decimal is written as the number it is, an aware datetime as ISO 8601."""
    return _encoder.encode(value)
