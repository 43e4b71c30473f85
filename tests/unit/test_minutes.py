"""Captured timestamps as minutes, whatever zone and form Postgres gave them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.routing.aggregates.minutes import DISTANT, EARLIEST, iso, microseconds, minute_at, minute_of


@given(st.datetimes(datetime(1900, 1, 1), datetime(9998, 12, 31)), st.integers(-12 * 60, 14 * 60))  # noqa: DTZ001
def test_a_minute_is_that_of_utc(naive: datetime, offset: int) -> None:
    """The zone a timestamp is written in does not matter, and before 1970 minutes are cut downwards, too."""
    moment = naive.replace(tzinfo=UTC)
    written = moment + timedelta(minutes=offset)
    text = (
        written.replace(tzinfo=None).isoformat()
        + f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    )
    minute = minute_of(text)
    assert minute == minute_at(moment)
    assert minute is not None
    begin = iso(minute, timedelta(minutes=1))
    assert begin <= moment < begin + timedelta(minutes=1)
    assert iso(microseconds(text) or 0, timedelta(microseconds=1)) == moment


@pytest.mark.parametrize(
    ("value", "minute"),
    [
        (None, None),
        ("1970-01-01T00:01:59.999999+00:00", 1),
        ("1970-01-01T00:00:00", 0),
        ("1970-01-02", 1440),
        ("1969-12-31T23:59:59+00:00", -1),
        ("infinity", DISTANT),
        ("-infinity", EARLIEST),
        ("0044-03-15T12:00:00+00:00 BC", EARLIEST),
        ("12026-05-04T12:00:00+00:00", DISTANT),
        ("9999-12-31T12:00:00+00:00", DISTANT),
    ],
)
def test_what_the_calendar_does_not_hold(value: str | None, minute: int | None) -> None:
    """Without a zone it is UTC, a date is its midnight; what Python cannot hold is the far future or the deep past."""
    assert minute_of(value) == minute
    if minute in (None, DISTANT, EARLIEST):
        assert microseconds(value) is None
