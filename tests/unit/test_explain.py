"""Explanations agree with what is sent, and say why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from relay.capture.change import Change
from relay.config import PolicySettings
from relay.routing.explain import Account, Question, accounts
from relay.routing.filters import FilterLimits
from relay.routing.policies import Grants, compile_policies
from relay.routing.prepare import Preparer
from tests.support.routing import LIMITS, MEMBERS, Lookups, change, channel, image

PAYMENT = channel()
FOLDED = channel("folded", coalesce=True)
CHANNELS = {"payments": PAYMENT, "folded": FOLDED}
OWNER = {"where": {"school_ids": {"overlaps": "$claims.schools"}}, "mask": {"note": "email"}}


def grants(claims: dict[str, Any], **policy: Any) -> Grants | None:
    """What one policy grants a token."""
    declared = {"name": "p", "when": {}, "channels": ["payments"], **policy}
    return compile_policies([PolicySettings.model_validate(declared)], CHANNELS).decide(claims)


def told(
    changes: Sequence[Change],
    given: Grants | None,
    *,
    filter: Any = None,
    asked: int = 1,
    of: str = "payments",
    lost: dict[str, str] | None = None,
) -> list[Account]:
    """The accounts of one channel."""
    prepared = asyncio.run(Preparer(CHANNELS, Lookups({1: [10], 2: [20]})).prepare(changes))
    together = frozenset(each.id for each in changes)
    question = Question(asked, together, prepared, given, lost or {}, filter, cast(FilterLimits, LIMITS))
    return list(accounts([CHANNELS[of]], question))


def one(*changes: Change, **more: Any) -> Account:
    """The only account."""
    (account,) = told(changes, **more)
    return account


def test_a_message_is_shown_with_what_led_to_it() -> None:
    """Scope and filter are told condition by condition, with the raw values they saw; the message is masked."""
    new, old = image(note="ben@example.com", status="failed"), image(note="ben@example.com")
    account = one(
        change(1, "update", new, old),
        given=grants({"schools": [10]}, **OWNER),
        filter={"status": ["failed", "x"]},
    )
    assert (account.event, account.verdict) == ("1", "entered")
    assert [(each.condition, each.before, each.after, each.values) for each in account.scope] == [
        ("school_ids overlaps [10]", True, True, ([10], [10]))
    ]
    assert [(each.condition, each.before, each.after, each.values) for each in account.filter] == [
        ('status in ["failed","x"]', False, True, ("pending", "failed"))
    ]
    assert account.masks == {"note": "email"}
    assert account.message["data"]["payment"]["note"] == "***@example.com"
    assert account.message["membership"] == "entered"


@pytest.mark.parametrize(
    ("changed", "filter", "why"),
    [
        ({"amount": 5}, {"status": "failed"}, "the filter does not match the row"),
        ({}, None, "nothing of what they see changed"),
        ({"note": "ann@example.com"}, None, "nothing of what they see changed"),
        ({"student_id": 2}, {"status": "failed"}, "the filter does not match the row"),
    ],
)
def test_why_nothing_is_sent(changed: dict[str, Any], filter: Any, why: str) -> None:
    """Each reason for silence has its own words."""
    old = image(note="ben@example.com")
    account = one(
        change(1, "update", old | changed, old), given=grants({"schools": [10]}, **OWNER), filter=filter
    )
    assert (account.verdict, account.why, account.message) == ("nothing", why, None)


def test_a_row_of_another_scope_is_nothing() -> None:
    """Where the scope matches neither row, that is said, with the values that did not match."""
    account = one(change(1, "insert", image()), given=grants({"schools": [20]}, **OWNER))
    assert (account.verdict, account.why) == ("nothing", "the policy's scope does not match the row")
    assert (account.scope[0].before, account.scope[0].after, account.scope[0].values) == (
        None,
        False,
        (None, [10]),
    )


def test_a_quarantined_row_is_explained_to_operators() -> None:
    """The reason is named, for the unscoped who are told withheld and for the scoped who are told nothing."""
    bad = change(1, "insert", image(amount="bad"))
    unscoped, scoped = one(bad, given=grants({})), one(bad, given=grants({"schools": [10]}, **OWNER))
    assert (unscoped.verdict, unscoped.message["type"]) == ("withheld", "withheld")
    assert (scoped.verdict, scoped.message) == ("nothing", None)
    assert unscoped.quarantined.startswith("field amount: ")
    assert "bad" not in unscoped.quarantined
    assert "quarantined" in scoped.why


def test_what_the_scan_removed_is_named() -> None:
    """The fields are, their content is not."""
    account = one(change(1, "insert", image(note="4242424242424242")), given=grants({}))
    assert account.removed == ("note",)
    assert "4242" not in str(account)


def test_who_has_no_grant_learns_why() -> None:
    """No policy, a policy without the channel, a scope without its claim, a filter that is refused."""
    insert = change(1, "insert", image())
    assert one(insert, given=None).why == "no policy matches"
    assert (
        one(insert, given=grants({}), of="folded").why == "the policy that decides does not grant the channel"
    )
    lost = {"folded": "where.school_ids: overlaps with $claims.schools expects a claim that the token has"}
    assert one(insert, given=grants({}), of="folded", lost=lost).why == lost["folded"]
    refused = one(insert, given=grants({"schools": [1]}, **OWNER), filter={"note": "x"})
    assert refused.verdict == "refused"
    assert 'field "note" cannot be filtered on' in refused.why


def test_a_folded_change_is_told_with_the_last_of_its_row() -> None:
    """On a channel that coalesces the first of two changes is part of the second's message."""
    given = grants({}, channels=["*"])
    changes = [change(1, "insert", image(), xid=9), change(2, "update", image(note="x"), image(), xid=9)]
    assert [(each.event, each.verdict) for each in told(changes, given)] == [("1", "created")]
    assert [(each.event, each.verdict) for each in told(changes, given, of="folded")] == [("2", "created")]
    gone = [changes[0], change(2, "delete", None, image(), xid=9)]
    (account,) = told(gone, given, of="folded")
    assert (account.verdict, account.event) == ("nothing", "")
    assert "folded away" in account.why


def test_a_moved_key_is_two_messages() -> None:
    """Both halves of the event are told."""
    changes = [change(1, "update", image(8), image(7))]
    assert [(each.event, each.verdict) for each in told(changes, grants({}))] == [
        ("1.0", "deleted"),
        ("1", "created"),
    ]


def test_a_changed_look_up_is_a_resync_for_whom_it_concerns() -> None:
    """A membership is no row of the channel; those whose scope it moves start over, others hear nothing."""
    moved = change(1, "insert", {"id": 50, "user_id": 1, "school_id": 10}, source=MEMBERS)
    account = one(moved, given=grants({"schools": [10]}, **OWNER))
    assert (account.verdict, account.why) == ("resync", "what they have is void: scope_changed")
    assert one(moved, given=grants({"schools": [20]}, **OWNER)).verdict == "nothing"
    assert one(change(1, "truncate"), given=grants({})).why == "what they have is void: truncated"
