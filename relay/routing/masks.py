"""Masks: what a policy lets some people see of a value, and of which values nothing at all.

A mask works on a field as it would leave, so it hides the same in a snapshot, a live message and a replay. What it
cannot be applied to leaves the row: a value of another type, text too short to keep a part of it secret, an address
that is none. NULL and empty text hide nothing and stay as they are, except under ``redact``, which does not even tell
whether there is a value.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from relay.config_masks import MaskName
from relay.messages.fields import FieldType

__all__ = ["ABSENT", "REDACTED", "Mask", "accepts", "key_mark", "make_mask"]

#: What a mask gives for a value that it cannot be applied to: the field leaves the row.
ABSENT: Final = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()
REDACTED: Final = "[redacted]"

#: From a field's value in JSON form to what is shown of it, or ABSENT.
Mask = Callable[[Any], Any]

#: One address and nothing else: whatever stands around it would leave with what passes for its domain.
_ADDRESS = re.compile(r"[^\s@\"<>,;]+@([^\W_](?:[\w.-]*[^\W_])?)")
_LONGEST_DOMAIN: Final = 253  # RFC 1035 §2.3.4
#: 128 bits: no two values of one table will ever share a hash.
_HASH_BYTES: Final = 16

_TEXT = frozenset({"string", "auto"})
_WHOLE = frozenset({"integer", "bigint"})
_TAKES: Mapping[str, frozenset[str] | None] = {
    "email": _TEXT,
    "last4": _TEXT,
    "last8": _TEXT,
    "hash": _TEXT | _WHOLE,
    "redact": None,
    "drop": None,
}


def accepts(name: MaskName, kind: FieldType) -> bool:
    """Whether mask ``name`` can ever be applied to a field of ``kind``."""
    taken = _TAKES[name]
    return taken is None or kind.name in taken


def make_mask(name: MaskName, key: bytes | None = None) -> Mask:
    """The mask of this name. ``key`` is for ``hash``, which cannot do without."""
    if name == "hash":
        assert key is not None
        return _hash(key)
    return _MASKS[name]


def key_mark(key: bytes) -> str:
    """A short text that tells one key from another and nothing about either: views under another key are others."""
    return hmac.digest(key, b"the mark of this key", "sha256")[:6].hex()


def _email(value: Any) -> Any:
    if not value and (value is None or value == ""):
        return value
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found is None or len(found[1]) > _LONGEST_DOMAIN:
        return ABSENT
    return f"***@{found[1]}"


def _last(shown: int) -> Mask:
    def mask(value: Any) -> Any:
        if value is None or value == "":
            return value
        # At least as much stays hidden as is shown: the last four of five characters are no mask.
        return value[-shown:] if isinstance(value, str) and len(value) >= 2 * shown else ABSENT

    return mask


def _hash(key: bytes) -> Mask:
    def mask(value: Any) -> Any:
        if value is None or value == "":
            return value
        if isinstance(value, bool) or not isinstance(value, str | int):
            return ABSENT
        # Lone surrogates cannot come out of Postgres, but a mask must not fail.
        return hmac.digest(key, str(value).encode("utf-8", "surrogatepass"), "sha256")[:_HASH_BYTES].hex()

    return mask


_MASKS: Mapping[str, Mask] = {
    "email": _email,
    "last4": _last(4),
    "last8": _last(8),
    "redact": lambda _: REDACTED,
    "drop": lambda _: ABSENT,
}
