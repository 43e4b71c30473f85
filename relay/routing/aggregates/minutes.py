"""Moments as captured rows hold them, as whole minutes and microseconds since 1970, the clock of all windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

__all__ = ["DISTANT", "EARLIEST", "iso", "microseconds", "minute_at", "minute_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Whatever lies in the year 9999 or later, infinity included, counts as this minute, in SQL and here: Python's calendar
#: ends there.
DISTANT: Final = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(minutes=1)
#: A minute before every window.
EARLIEST: Final = -(2**62)


def minute_at(moment: datetime) -> int:
    """The minute that ``moment`` (aware) lies in."""
    since = moment - _EPOCH
    return since.days * 1440 + since.seconds // 60


def minute_of(value: Any) -> int | None:
    """The minute of a captured timestamp (or date), None for NULL. Without a zone it is taken for UTC."""
    moment = _moment(value)
    return minute_at(moment) if isinstance(moment, datetime) else moment


def microseconds(value: Any) -> int | None:
    """A captured timestamp in microseconds since 1970; None for NULL and for what Python's calendar does not hold."""
    moment = _moment(value)
    if not isinstance(moment, datetime):
        return None
    since = moment - _EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def iso(since_epoch: int, unit: timedelta) -> datetime:
    """The moment so many ``unit`` after 1970, as JSON text will show it."""
    return _EPOCH + since_epoch * unit


def _moment(value: Any) -> datetime | int | None:
    """The moment, or where the calendar does not hold it the minute that stands for it, or None for NULL."""
    if value is None:
        return None
    text = str(value)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        # What Postgres writes and Python does not read: infinity, years BC, years of five digits.
        return EARLIEST if text.startswith("-") or text.endswith("BC") else DISTANT
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return DISTANT if moment.year >= 9999 and minute_at(moment) >= DISTANT else moment
