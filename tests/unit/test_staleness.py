"""What a change in a table means for a look-up that reads it."""

from __future__ import annotations

import pytest

from relay.routing.channel import Lookup
from relay.routing.staleness import keys_touched, moves_scope, touches
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
