"""Views: equal if they let the same through, and named by a hash."""

from __future__ import annotations

from relay.routing.conditions import condition
from relay.routing.view import Scope, View
from tests.support.routing import MEMBERS, PAYMENTS, channel, image, view

PAYMENT = channel()
SCOPE = {"school_ids": {"overlaps": [1, 2]}}


def row(**fields: object) -> dict[str, object]:
    """A row with null in all other fields."""
    return dict.fromkeys(PAYMENT.fields) | {"id": "1"} | fields


def test_equal_views_are_one() -> None:
    """Filter, scope and mapping decide; order and spelling do not."""
    one = view(PAYMENT, {"status": ["b", "a"]}, {"school_ids": {"overlaps": [2, 1]}})
    other = view(channel(), {"status": {"in": ["a", "b"]}}, SCOPE)
    assert one == other
    assert hash(one) == hash(other)
    assert one.hash == other.hash
    assert len(one.hash) <= 32
    assert one.hash.isascii()


def test_any_difference_makes_another_view() -> None:
    """A changed filter, scope or mapping changes the hash, so that nobody resumes under another view."""
    views = [
        view(PAYMENT),
        view(PAYMENT, {"status": "a"}),
        view(PAYMENT, None, SCOPE),
        view(PAYMENT, None, {"school_ids": {"overlaps": [1]}}),
        view(PAYMENT, None, {"status": {"eq": "a"}}),
        view(channel(status="")),
        view(channel("refunds")),
    ]
    assert len({each.hash for each in views}) == len(views)


def test_a_scope_on_a_look_up_depends_on_what_the_look_up_reads() -> None:
    """A view's sources are its table and, for its scope only, the tables of look-ups."""
    assert view(PAYMENT).sources == {PAYMENTS}
    assert view(PAYMENT, None, SCOPE).sources == {PAYMENTS, MEMBERS}
    assert view(PAYMENT, None, SCOPE).lookups == {"tenant"}


def test_policy_and_filter_must_both_match() -> None:
    """Two lists, both must match: what the client asked for and what its token allows."""
    both = view(PAYMENT, {"status": "paid"}, SCOPE)
    assert both.wants(row(status="paid", school_ids=[2]))
    assert not both.wants(row(status="open", school_ids=[2]))
    assert not both.wants(row(status="paid", school_ids=[3]))
    assert both.allows(row(status="open", school_ids=[2]))


def test_a_snapshot_holds_the_first_rows_that_match() -> None:
    """Rows are chosen in order up to the limit, and leave without hidden fields."""
    rows = [row(id=str(n), status="paid" if n % 2 else "open") for n in range(1, 8)]
    shown = view(PAYMENT, {"status": "paid"}).select(rows, 2)
    assert [each["id"] for each in shown] == ["1", "3"]
    assert "school_ids" not in shown[0]


def test_nothing_has_changed_in_a_snapshot() -> None:
    """A filter for changes matches no row of a snapshot."""
    assert view(PAYMENT, {"status": {"changed": True}}).select([row()], 10) == []


def test_an_unscoped_view_allows_every_row() -> None:
    """Without a where, the policy matches whatever the row holds."""
    assert not view(PAYMENT).scoped
    assert View(PAYMENT, scope=Scope((condition("id", "eq", "1", PAYMENT.kinds["id"], 1),))).scoped
    assert view(PAYMENT).allows(image())
