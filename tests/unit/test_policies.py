"""Policies: from claims to channels and scopes, deny by default."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from relay.config import PolicySettings
from relay.errors import ConfigError
from relay.routing.policies import Grants, Policies, compile_policies
from relay.routing.rows import RowBuilder
from tests.support.routing import channel, image

CHANNELS = {
    "payments": channel(),
    "events": channel("events", fields={"id": {"column": "id", "type": "string"}}),
}
OVERLAP = {"school_ids": {"overlaps": "$claims.school_ids"}}


def policies(*declared: dict[str, Any]) -> Policies:
    """Policies that by default match every token and grant every channel."""
    return compile_policies(
        [
            PolicySettings.model_validate({"name": "p", "when": {}, "channels": ["*"]} | each)
            for each in declared
        ],
        CHANNELS,
    )


def scoped(where: dict[str, Any], claims: dict[str, Any]) -> Grants | None:
    """What one policy with this where grants."""
    return policies({"channels": ["payments"], "where": where}).decide(claims)


def sees(grants: Grants | None, **row: Any) -> bool:
    """Whether the grants let a payment with these fields be seen."""
    assert grants is not None
    return grants.scope("payments").matches(dict.fromkeys(CHANNELS["payments"].fields) | row)


@pytest.mark.parametrize(
    ("when", "claims", "matches"),
    [
        ({"admin": True}, {"admin": True}, True),
        ({"admin": True}, {"admin": 1}, False),
        ({"admin": True}, {"admin": "true"}, False),
        ({"level": 1}, {"level": True}, False),
        ({"level": 1}, {"level": 1.0}, False),
        ({"level": 1}, {"level": "1"}, False),
        ({"role": ["owner", "staff"]}, {"role": "staff"}, True),
        ({"role": ["owner", "staff"]}, {"role": "student"}, False),
        ({"role": ["owner"]}, {"role": ["owner"]}, False),
        ({"role": "owner"}, {}, False),
        ({"role": "owner"}, {"role": None}, False),
        ({"role": "owner", "admin": True}, {"role": "owner"}, False),
        ({}, {}, True),
        ({}, {"anything": 1}, True),
    ],
)
def test_when_compares_claims_with_their_types(
    when: dict[str, Any], claims: dict[str, Any], matches: bool
) -> None:
    """A list means any of; types are strict; a missing claim never matches; {} matches every valid token."""
    assert (policies({"when": when}).decide(claims) is not None) is matches


def test_the_first_match_decides() -> None:
    """Later policies are not looked at, even where they would grant more."""
    decided = policies(
        {"name": "narrow", "when": {"role": "owner"}, "channels": ["events"]},
        {"name": "wide", "when": {}, "channels": ["*"]},
    )
    narrow, wide = decided.decide({"role": "owner"}), decided.decide({})
    assert narrow is not None
    assert (narrow.policy, sorted(narrow.channels)) == ("narrow", ["events"])
    assert wide is not None
    assert sorted(wide.channels) == ["events", "payments"]


def test_no_policy_no_grants() -> None:
    """Without a policy that matches, and with no policies at all, nothing is granted."""
    assert policies().decide({"admin": True}) is None
    assert policies({"when": {"admin": True}}).decide({}) is None


def test_a_channel_that_is_not_granted_has_no_scope() -> None:
    """Asking for the scope of a channel outside the grants is a KeyError, not an empty scope."""
    grants = policies({"channels": ["events"]}).decide({})
    assert grants is not None
    with pytest.raises(KeyError):
        grants.scope("payments")


def test_claims_are_put_into_the_scope() -> None:
    """A row is seen if its raw value overlaps the list in the claim; hidden fields count."""
    grants = scoped(OVERLAP, {"school_ids": [1, 2]})
    assert grants is not None
    assert grants.where
    assert sees(grants, school_ids=[2, 9])
    assert not sees(grants, school_ids=[3])
    assert not sees(grants, school_ids=[])
    assert not sees(grants, school_ids=None)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"school_ids": None},
        {"school_ids": 1},
        {"school_ids": "1"},
        {"school_ids": [None]},
        {"school_ids": [[1]]},
    ],
)
def test_a_missing_or_misshapen_claim_grants_nothing(claims: dict[str, Any]) -> None:
    """Where the scope cannot be built from the token, its channels are not granted; with none left, nothing is."""
    assert scoped(OVERLAP, claims) is None


@pytest.mark.parametrize("claim", [[True], ["1"], []])
def test_scopes_mind_types(claim: list[Any]) -> None:
    """The claims true and "1" do not open school 1, and an empty list opens none."""
    assert not sees(scoped(OVERLAP, {"school_ids": claim}), school_ids=[1])


def test_a_where_compares_what_the_field_holds_before_masks() -> None:
    """The name that a map gives to a stored value counts, and a mask over the field does not matter."""
    declared = {"channels": ["payments"], "where": {"status": "succeeded"}, "mask": {"status": "redact"}}
    grants = policies(declared).decide({})
    rows = [
        RowBuilder(CHANNELS["payments"]).build(image(status=stored), {"tenant": {"1": None}})
        for stored in ("completed", "pending")
    ]
    assert grants is not None
    assert [grants.scope("payments").matches(row) for row in rows] == [True, False]


def test_all_conditions_of_a_where_must_hold() -> None:
    """The parts of a where are ANDed, literals and claims alike, dotted claims reach inside objects."""
    where = {"status": ["succeeded", "refunded"], "amount": {"gte": "100"}, "id": "$claims.own.payment"}
    grants = scoped(where, {"own": {"payment": 7}})
    assert sees(grants, status="succeeded", amount=Decimal(100), id="7")
    assert not sees(grants, status="succeeded", amount=Decimal(99), id="7")
    assert not sees(grants, status="pending", amount=Decimal(100), id="7")
    assert not sees(grants, status="succeeded", amount=Decimal(100), id="8")


@pytest.mark.parametrize(
    ("declared", "named"),
    [
        ({"channels": ["refunds"]}, 'policy "p" grants channel refunds, which is not declared'),
        ({"where": OVERLAP}, "school_ids, which channel events lacks"),
        ({"channels": ["payments"], "where": {"colour": "x"}}, "colour, which channel payments lacks"),
        ({"channels": ["payments"], "where": {"status": {"like": "x"}}}, "where.status has no operator like"),
        (
            {"channels": ["payments"], "where": {"status": {"changed": True}}},
            "where.status has no operator changed",
        ),
        ({"channels": ["payments"], "where": {"status": {}}}, "where.status is empty"),
        (
            {"channels": ["payments"], "where": {"amount": {"gt": "much"}}},
            "where.amount: gt expects a number",
        ),
        (
            {"channels": ["payments"], "where": {"status": "$claim.x"}},
            'which is no claim; write "$claims.name"',
        ),
        ({"channels": ["payments"], "where": {"status": "$claims."}}, "which is no claim"),
    ],
)
def test_a_policy_that_cannot_work_stops_the_start(declared: dict[str, Any], named: str) -> None:
    """A mistake in a policy is a start-up error that names policy, channel or field, and the remedy, in one line."""
    with pytest.raises(ConfigError) as wrong:
        policies(declared)
    assert named in str(wrong.value)
    assert 'policy "p"' in str(wrong.value)
    assert "\n" not in str(wrong.value)
