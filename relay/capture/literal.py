"""Array literals for parameters whose type Postgres shall find out by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["array_literal"]


def array_literal(values: Iterable[Any]) -> str:
    """``values`` as the text of a one-dimensional array, e.g. ``{"a","b"}``.

    Sent as text without a type it becomes an array of whatever it is compared with: a uuid column and a bigint column
    take the same keys, which JSON gave us as strings and numbers. None becomes NULL. Text cannot hold a zero
    character in Postgres, so a value with one equals nothing and is left out.
    """
    return "{" + ",".join(_element(value) for value in values if "\0" not in str(value)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "t" if value else "f"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
