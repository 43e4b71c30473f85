"""The last-line scan of a channel's rows: of the text and JSON fields that clients may see, and of no other.

Ids, amounts and times are not searched: by chance one in a hundred long ids would read as a card number. Nor are the
fields that name a row, for rows that are all called ``[removed]`` cannot be told apart; what is hidden never leaves.

Nearly every value is clean, and most have been seen before: an update repeats most of its row, and customers pay
again. So what was found clean is remembered, within bounds, and a row costs little more than looking its values up.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

from relay import jsontext
from relay.errors import RowInvalid
from relay.routing.channel import Channel
from relay.routing.projection import UNSCANNED
from relay.routing.scan import REMOVED, clean_json, clean_text, may_hold_any

__all__ = ["DEEPEST", "LONGEST", "Scrubber"]

#: Levels of lists and objects that a value may have. The JSON library gives up at about a thousand, in the middle of
#: sending; nobody reads that many.
DEEPEST: Final = 100
#: Characters of a value that is searched closely. A longer one in which there may be something is removed whole.
LONGEST: Final = 65_536
_REMEMBERED: Final = 20_000
_REMEMBERED_LENGTH: Final = 200


class Scrubber:
    """Scans rows of one channel, in place."""

    def __init__(self, channel: Channel) -> None:
        self._fields = tuple(
            (each.name, each.kind.name == "json") for each in channel.fields.values() if each.scanned
        )
        self._clean: set[Hashable] = set()

    def __call__(self, row: dict[str, Any]) -> None:
        """Put ``[removed]`` where it has to be. What stood there is kept under UNSCANNED, by field.

        Raises RowInvalid for a value nested too deeply to be sent.
        """
        clean = self._clean
        for name, is_json in self._fields:
            value = row[name]
            if value is None:
                continue
            if value.__class__ is str:
                if value in clean:
                    continue
                if not may_hold_any(value):
                    if len(value) <= _REMEMBERED_LENGTH:
                        clean.add(value)
                    continue
                cleaned = REMOVED if len(value) > LONGEST else clean_text(value)
            else:
                cleaned = self._clean_other(name, value, is_json)
            if cleaned is not value:
                row[name] = cleaned
                row.setdefault(UNSCANNED, {})[name] = value
        if len(clean) > _REMEMBERED:
            clean.clear()

    def _clean_other(self, name: str, value: Any, is_json: bool) -> Any:
        parts: tuple[Any, ...]
        if value.__class__ is dict:
            parts = (value, value.values())
        elif value.__class__ is list:
            parts = (value,)
        elif is_json:
            parts = ((value,),)
        else:
            return value  # a number or a time, of a field whose type is not declared
        try:
            if all(map(self._clean.issuperset, parts)):
                return value
        except TypeError:  # there is a list or an object inside
            pass
        text = _as_text(name, value)
        if may_hold_any(text):
            if len(text) > LONGEST:
                return REMOVED
            cleaned = clean_json(value)
            if cleaned is not value:
                return cleaned
        for part in parts:
            # No Decimal: one may equal a card number, and be none.
            self._clean.update(each for each in part if isinstance(each, str | int) and _is_short(each))
        return value


def _is_short(value: str | int) -> bool:
    return isinstance(value, int) or len(value) <= _REMEMBERED_LENGTH


def _as_text(name: str, value: Any) -> str:
    try:
        text = jsontext.encode(value).decode()
    except RecursionError:
        raise RowInvalid(name, "nested too deeply") from None
    if jsontext.is_deeper(value, DEEPEST, text):
        raise RowInvalid(name, "nested too deeply")
    return text
