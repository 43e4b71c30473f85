"""Which elements of a look-up's lists are one column's values: proven from its SQL, or not at all."""

from __future__ import annotations

import tomllib

import pytest

from relay.config_preset import PRESETS
from relay.routing.lookup_values import gathered

MEMBER = "public.membership"
PAYMENT = "public.payment"
PLAIN = (
    "SELECT user_id AS id, array_agg(school_id) AS school_ids FROM membership WHERE user_id = ANY(%(keys)s) "
    "GROUP BY 1"
)
JOINED = (
    "SELECT t.id, array_agg(m.school_id) AS school_ids FROM payment t JOIN membership m ON m.user_id = t.student_id "
    "WHERE t.id = ANY(%(keys)s) GROUP BY 1"
)
SCHOOLS = {"school_ids": "school_id"}


@pytest.mark.parametrize(
    "sql",
    [
        PLAIN,
        PLAIN.lower() + ";",
        PLAIN.replace("FROM membership", "FROM public.membership"),
        PLAIN.replace("FROM membership", "FROM membership AS m").replace("(school_id", "(m.school_id"),
        PLAIN.replace("GROUP BY 1", "GROUP BY user_id"),
        PLAIN.replace(
            "WHERE", "WHERE is_active AND role IN ('student', 'pupil') AND NOT (left_at < 5 OR x) AND"
        ),
        PLAIN.replace("(school_id)", "(school_id ORDER BY school_id)"),
        PLAIN.replace("(school_id)", "(school_id) FILTER (WHERE is_active)"),
        PLAIN.replace("%(keys)s", "%(keys)s::bigint[]"),
        PLAIN.replace(" FROM", ", array_agg(lower(role)) AS roles FROM"),
        PLAIN.replace(" ", "\n  "),
    ],
)
def test_plain_statements_are_proven(sql: str) -> None:
    """One table, one list of one of its columns, groups of the key: whatever the conditions on a row are."""
    assert gathered(sql, [MEMBER]) == {MEMBER: SCHOOLS}


def test_the_list_is_of_the_table_that_its_alias_names() -> None:
    """In a join each list is of one table; of the other nothing is proven."""
    assert gathered(JOINED, [MEMBER, PAYMENT]) == {MEMBER: SCHOOLS}
    assert gathered(JOINED.replace(" JOIN", " LEFT JOIN"), [MEMBER, PAYMENT]) == {MEMBER: SCHOOLS}
    both = JOINED.replace("AS school_ids", "AS school_ids, array_agg(t.plan) AS plans")
    assert gathered(both, [MEMBER, PAYMENT]) == {MEMBER: SCHOOLS, PAYMENT: {"plans": "plan"}}


@pytest.mark.parametrize(
    "sql",
    [
        PLAIN.replace("GROUP BY 1", "GROUP BY 1 HAVING count(*) > 1"),
        PLAIN.replace("GROUP BY 1", "GROUP BY user_id, role"),
        PLAIN.replace("GROUP BY 1", "GROUP BY role"),
        PLAIN.replace("GROUP BY 1", "GROUP BY 1 ORDER BY 1 LIMIT 5"),
        PLAIN.replace(" GROUP BY 1", ""),
        PLAIN.replace("array_agg(school_id)", "array_agg(DISTINCT school_id)"),
        PLAIN.replace("array_agg(school_id)", "array_agg(school_id + 1)"),
        PLAIN.replace("array_agg(school_id)", "array_agg(school_id::text)"),
        PLAIN.replace("array_agg(school_id)", "max(school_id)"),
        PLAIN.replace("array_agg(school_id)", "my_schools(user_id)"),
        PLAIN.replace("WHERE", "WHERE may_see(user_id) AND"),
        PLAIN.replace("WHERE", "WHERE EXISTS (SELECT 1 FROM membership) AND"),
        PLAIN.replace("WHERE", "WHERE school_id = (SELECT min(school_id) FROM membership) AND"),
        PLAIN.replace("FROM membership", "FROM membership, unnest(extra) AS e"),
        PLAIN.replace("FROM membership", "FROM members_of_today"),
        PLAIN.replace("FROM membership", "FROM membership m JOIN membership n USING (school_id)"),
        PLAIN.replace("FROM membership", "FROM membership TABLESAMPLE SYSTEM (5)"),
        PLAIN.replace("FROM membership", 'FROM "membership"'),
        PLAIN.replace("WHERE", "/* GROUP BY */ WHERE"),
        f"WITH m AS (SELECT 1) {PLAIN}",
        f"{PLAIN} UNION {PLAIN}",
        JOINED.replace("m.school_id", "school_id"),
        "SELECT id, email FROM customer WHERE id = ANY(%(keys)s)",
        "",
    ],
)
def test_in_doubt_nothing_is_proven(sql: str) -> None:
    """Whatever could make one row decide about the values of another, or hides what is read, proves nothing."""
    assert gathered(sql, [MEMBER, PAYMENT]) == {}


def test_every_table_has_to_be_declared() -> None:
    """What is not among reads may be a view, which may read the table once more."""
    assert gathered(JOINED, [MEMBER]) == {}
    assert gathered(PLAIN, []) == {}
    assert gathered(PLAIN, ["public.Membership"]) == {}
    assert gathered(PLAIN, [MEMBER, "other.membership"]) == {}


def test_the_shipped_tenants_are_proven() -> None:
    """In the preset a student who changes school concerns that student's schools alone."""
    channels = tomllib.loads(PRESETS["payments"].read_text())["channels"]
    for name in ("transactions", "disputes"):
        tenant = channels[name]["lookups"]["tenant"]
        assert gathered(tenant["sql"], tenant["reads"]) == {"public.accounts_schoolmembership": SCHOOLS}, name
