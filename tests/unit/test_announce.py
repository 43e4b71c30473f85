"""Changes of a look-up's result, told as updates of the rows it belongs to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from relay.capture.change import Change
from relay.capture.rows import images_by
from relay.errors import MappingError
from relay.routing.announce import announcements
from relay.routing.channel import Channel
from tests.support.routing import MEMBERS, TENANT, channel

AT = datetime(2026, 5, 4, tzinfo=UTC)


def announcing(**lookup: Any) -> Channel:
    """The payment channel, whose tenant look-up announces its changes."""
    return channel(lookups={"tenant": TENANT | {"announce": True} | lookup})


def member(op: Any, old: Any, new: Any) -> Change:
    """A change of a membership."""
    images = [None if each is None else {"id": 1, **each} for each in (old, new)]
    return Change(7, 20, AT, MEMBERS, op, {"id": 1}, images[1], images[0])


def test_the_rows_of_both_sides_are_concerned() -> None:
    """A link that moves from one row to another is news for both."""
    lookup = announcing().lookups["tenant"]
    (told,) = announcements(
        {MEMBERS: [lookup]},
        [member("update", {"user_id": 3, "school_id": 1}, {"user_id": 4, "school_id": 1})],
    )
    assert set(told.keys or ()) == {"3", "4"}


def test_a_change_of_nothing_that_is_read_is_no_news() -> None:
    """Columns outside of ``reads`` do not announce anything."""
    lookup = announcing().lookups["tenant"]
    same = {"user_id": 3, "school_id": 1}
    assert announcements({MEMBERS: [lookup]}, [member("update", same, {**same, "role": "x"})]) == []


def test_a_look_up_that_does_not_announce_says_nothing() -> None:
    """Announcing is asked for, look-up by look-up."""
    lookup = channel().lookups["tenant"]
    assert announcements({MEMBERS: [lookup]}, [member("insert", None, {"user_id": 3, "school_id": 1})]) == []


def test_each_row_has_an_id_of_its_own() -> None:
    """One change that is news for several rows is told under ids that differ, and are the same at every replay."""
    payments = announcing()
    (told,) = announcements(
        {MEMBERS: [payments.lookups["tenant"]]}, [member("insert", None, {"user_id": 3, "school_id": 1})]
    )
    images = [{"id": number, "student_id": 3} for number in (12, 11)]
    assert [row.id for row in told.updates(payments, images)] == ["7.11", "7.12"]
    assert told.updates(payments, images) == told.updates(payments, images[::-1])


def test_a_look_up_that_cannot_say_which_rows_may_not_announce() -> None:
    """Announcing needs SQL that shows by which column a change bears on a row; anything else is a start-up error."""
    with pytest.raises(MappingError, match=r"lookups\.tenant has announce"):
        announcing(sql="SELECT %(keys)s AS id, 1 AS school_ids")


def test_names_are_quoted_in_the_query_for_rows() -> None:
    """Whatever a table or column is called, it stays a name."""
    assert images_by('public.o"dd', ["a", "50%"], "key") == (
        'SELECT row_to_json(r) FROM (SELECT "50%%", "a" FROM "public"."o""dd" WHERE "key" = ANY (%(values)s)) AS r'
    )
