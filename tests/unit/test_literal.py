"""Array literals."""

from __future__ import annotations

from decimal import Decimal

from relay.capture.literal import array_literal


def test_values_are_quoted() -> None:
    """Every value is quoted, so that commas, braces, quotes and the word NULL are nothing special in it."""
    assert array_literal(["a", 'b"c', "d\\e", "{f,g}", "NULL", ""]) == (
        '{"a","b\\"c","d\\\\e","{f,g}","NULL",""}'
    )


def test_other_types() -> None:
    """Numbers are written as they are, truth values as Postgres reads them, None is NULL; zero characters cannot be."""
    assert array_literal([1, Decimal("1.50"), True, False, None, "a\0b"]) == '{"1","1.50",t,f,NULL}'
    assert array_literal([]) == "{}"
