"""Which key of a look-up a changed row bears on."""

from __future__ import annotations

import pytest

from relay.routing.lookup_keys import keyed_by

USER, MEMBER, PAYMENT = "public.customer", "public.member", "public.payment"
JOINED = (
    "SELECT t.id, u.email FROM payment t JOIN customer u ON u.id = t.customer_id WHERE t.id = ANY(%(keys)s)"
)


@pytest.mark.parametrize(
    ("sql", "table", "column"),
    [
        ("SELECT id, email FROM customer WHERE id = ANY(%(keys)s)", USER, "id"),
        ("select c.id from public.customer as c where c.id = any( %(keys)s::bigint[] )", USER, "id"),
        ("SELECT customer.id FROM customer WHERE customer.id = ANY(%(keys)s)", USER, "id"),
        (
            "SELECT user_id AS id FROM member WHERE active AND role = 'student' AND user_id = ANY(%(keys)s) GROUP BY 1",
            MEMBER,
            "user_id",
        ),
        (JOINED, PAYMENT, "id"),
        (JOINED, USER, None),
        (JOINED, MEMBER, None),
        ("SELECT id FROM customer, member WHERE id = ANY(%(keys)s)", USER, None),
        ("SELECT id FROM customer JOIN member USING (id) WHERE id = ANY(%(keys)s)", USER, None),
        (
            "SELECT a.id FROM customer a JOIN customer b ON b.id = a.boss WHERE a.id = ANY(%(keys)s)",
            USER,
            None,
        ),
        ("SELECT id FROM customer WHERE id = ANY(%(keys)s) OR boss = 1", USER, None),
        ("SELECT id FROM customer WHERE NOT id = ANY(%(keys)s)", USER, None),
        ("SELECT id, rank() OVER (ORDER BY id) FROM customer WHERE id = ANY(%(keys)s)", USER, None),
        ("SELECT id FROM customer WHERE id = ANY(%(keys)s) LIMIT 10", USER, None),
        ("SELECT id FROM customer WHERE id IN (SELECT x FROM member) AND id = ANY(%(keys)s)", USER, None),
        ("SELECT id FROM customer WHERE id = ANY(%(keys)s) -- WHERE", USER, None),
        ('SELECT id FROM "customer" WHERE id = ANY(%(keys)s)', USER, None),
        ("SELECT id FROM customer WHERE lower(id) = ANY(%(keys)s)", USER, None),
        ("SELECT id FROM customer WHERE boss + id = ANY(%(keys)s)", USER, None),
        ("SELECT id FROM customer WHERE id = ANY(%(keys)s) IS NOT TRUE", USER, None),
        ("SELECT id FROM customer WHERE x BETWEEN 1 AND id = ANY(%(keys)s)", USER, None),
        ("SELECT id FROM other.customer WHERE id = ANY(%(keys)s)", USER, None),
        ("SELECT id FROM customers WHERE id = ANY(%(keys)s)", USER, None),
    ],
)
def test_only_a_certain_answer_is_given(sql: str, table: str, column: str | None) -> None:
    """A column is named only where a row of the table can take part in no other key's result; otherwise None."""
    assert keyed_by(sql, table) == column
