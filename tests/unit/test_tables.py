"""The statement for a snapshot's rows."""

from __future__ import annotations

import pytest

from relay.capture.rows import RowsQuery, SqlCondition
from relay.capture.tables import ColumnType, statement
from relay.errors import MappingError

TYPES = {
    "id": ColumnType("bigint", False),
    "status": ColumnType("text", True),
    "amount": ColumnType("numeric", False),
}


def text(query: RowsQuery) -> str:
    """The statement as one line."""
    return statement(query, TYPES)[0].as_string()


def test_the_whole_statement() -> None:
    """Columns are quoted, values are parameters cast to the column's type, and one row more than the limit is read."""
    query = RowsQuery(
        "public.pay",
        ("id", "status"),
        (
            SqlCondition("status", "in", ("a", "b")),
            SqlCondition("status", "gt", ("c",)),
            SqlCondition("amount", "gte", ("1.5",)),
            SqlCondition("amount", "not_null"),
        ),
        "amount desc nulls last, id",
        10,
        500,
    )
    composed, params = statement(query, TYPES)
    assert composed.as_string() == (
        'SELECT row_to_json(r)::text FROM (SELECT "t"."id", "t"."status" FROM "public"."pay" AS t'
        ' WHERE "t"."status" = ANY (%(c1)s::text::text[]) AND "t"."status" COLLATE "C" > %(c2)s::text::text'
        ' AND "t"."amount" >= %(c3)s::text::numeric AND "t"."amount" IS NOT NULL'
        ' ORDER BY "t"."amount" DESC NULLS LAST, "t"."id" LIMIT %(limit)s) AS r'
    )
    assert params == {"limit": 501, "c1": '{"a","b"}', "c2": "c", "c3": "1.5"}


def test_without_conditions_and_order() -> None:
    """Nothing to check and no order leave nothing behind."""
    assert text(RowsQuery("public.pay", ("id",))).endswith('"public"."pay" AS t LIMIT %(limit)s) AS r')


@pytest.mark.parametrize("order", ["hue", "id sideways", "id; DROP TABLE pay", "id,", ",", "lower(status)"])
def test_an_order_that_is_not_understood_is_refused(order: str) -> None:
    """An order is a list of known columns; anything else is an error that shows it."""
    with pytest.raises(MappingError, match="order"):
        text(RowsQuery("public.pay", ("id",), order=order))
