"""What a change in a table means for a look-up that reads it."""

from __future__ import annotations

import pytest

from relay.routing.channel import Lookup
from relay.routing.staleness import keys_touched, moves_scope, together, touches, values_touched
from tests.support.routing import MEMBERS, PAYMENTS, change, channel, image

TENANT = channel().lookups["tenant"]
OF_PAYMENT = Lookup(
    "disputes", "payment", "payment_id", "", "", {PAYMENTS: ("student_id",)}, {PAYMENTS: "id"}, False
)
MEMBER = {"id": 50, "user_id": 7, "school_id": 1}


def test_only_columns_that_are_read_matter() -> None:
    """An update of other columns voids nothing; inserts, deletes and unknown images do."""
    assert not touches(TENANT, change(1, "update", MEMBER | {"note": "x"}, MEMBER, source=MEMBERS))
    assert touches(TENANT, change(1, "update", MEMBER | {"school_id": 2}, MEMBER, source=MEMBERS))
    assert touches(TENANT, change(1, "insert", MEMBER, source=MEMBERS))
    assert touches(TENANT, change(1, "delete", None, MEMBER, source=MEMBERS))
    assert touches(TENANT, change(1, "truncate", source=MEMBERS))
    assert touches(TENANT, change(1, "update", key={"id": 50}, source=MEMBERS))


def test_the_keys_of_old_and_new_row_are_touched() -> None:
    """Where the SQL names the column with the key, only the keys in the changed row's images are void."""
    moved = change(1, "update", MEMBER | {"user_id": 8}, MEMBER, source=MEMBERS)
    assert sorted(keys_touched(TENANT, moved) or []) == ["7", "8"]
    assert keys_touched(OF_PAYMENT, change(1, "delete", None, image(3))) == ["3"]
    assert keys_touched(OF_PAYMENT, change(1, "update", key={"id": 3})) == ["3"]


def test_in_doubt_every_key_is_touched() -> None:
    """TRUNCATE, an image without the column and a table whose rows bear on any key void everything."""
    assert keys_touched(TENANT, change(1, "truncate", source=MEMBERS)) is None
    assert keys_touched(TENANT, change(1, "update", key={"id": 50}, source=MEMBERS)) is None
    assert keys_touched(TENANT, change(1, "insert", image(), source=PAYMENTS)) is None


@pytest.mark.parametrize("known", [True, False])
def test_a_new_row_under_a_new_key_moves_no_scope(known: bool) -> None:
    """A new payment changes nothing for old disputes, unless its key was looked up before; every other change may."""
    assert moves_scope(OF_PAYMENT, change(1, "insert", image(3)), known) is known
    assert moves_scope(OF_PAYMENT, change(1, "update", image(3, student_id=2), image(3)), known)
    assert moves_scope(OF_PAYMENT, change(1, "delete", None, image(3)), known)
    assert moves_scope(TENANT, change(1, "insert", MEMBER, source=MEMBERS), known)


def test_the_elements_of_old_and_new_row_are_touched() -> None:
    """A student who changes school brings the one and takes away the other; a row that comes or goes, its own."""
    moved = change(1, "update", MEMBER | {"school_id": 2}, MEMBER, source=MEMBERS)
    assert values_touched(TENANT, moved) == {"school_ids": frozenset({1, 2})}
    assert values_touched(TENANT, change(1, "insert", MEMBER, source=MEMBERS)) == {
        "school_ids": frozenset({1})
    }
    assert values_touched(TENANT, change(1, "delete", None, MEMBER, source=MEMBERS)) == {
        "school_ids": frozenset({1})
    }
    nowhere = change(1, "update", MEMBER | {"school_id": None}, MEMBER, source=MEMBERS)
    assert values_touched(TENANT, nowhere) == {"school_ids": frozenset({1})}
    school = "0b7cf7a3-3f10-4c0e-8a3c-5f2d6f7a9b10"
    assert values_touched(TENANT, change(1, "insert", MEMBER | {"school_id": school}, source=MEMBERS)) == {
        "school_ids": frozenset({school})
    }


def test_in_doubt_any_element_is_touched() -> None:
    """TRUNCATE, an image that is missing, a table that is not gathered: everything may be another."""
    assert values_touched(TENANT, change(1, "truncate", source=MEMBERS)) is None
    assert values_touched(TENANT, change(1, "update", key={"id": 50}, source=MEMBERS)) is None
    assert values_touched(OF_PAYMENT, change(1, "insert", image(3))) is None


@pytest.mark.parametrize("school", [True, "2026-01-01T00:00:00+02:00", "1 day", [1], 1.5])
def test_values_whose_form_may_differ_prove_nothing(school: object) -> None:
    """What a session's settings write in one way or another (times, intervals) cannot be compared, nor can lists."""
    assert values_touched(TENANT, change(1, "insert", MEMBER | {"school_id": school}, source=MEMBERS)) == {}
    without = {name: value for name, value in MEMBER.items() if name != "school_id"}
    assert values_touched(TENANT, change(1, "insert", without, source=MEMBERS)) == {}


def test_changes_of_one_transaction_touch_together() -> None:
    """All elements of both, in the columns that are known of both; if nothing is known of one, nothing is of both."""
    one, other = {"a": frozenset({1}), "b": frozenset({2})}, {"a": frozenset({3})}
    assert together(one, other) == {"a": frozenset({1, 3})}
    assert together(one, None) is None
    assert together(None, other) is None
