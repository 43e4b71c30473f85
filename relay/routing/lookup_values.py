"""Which values of a look-up's result a changed row can have brought or taken away, where the look-up's SQL proves it.

    SELECT user_id AS id, array_agg(school_id) AS school_ids FROM membership
     WHERE is_active AND user_id = ANY(%(keys)s) GROUP BY 1

Each element of ``school_ids`` is the ``school_id`` of one row of ``membership``. So whatever happens to a row of it, no
other element comes or goes than the ``school_id`` that the row had or has: a student who goes from school 1 to school 2
concerns those who may see schools 1 and 2, and nobody else.

The proof needs that the statement is one SELECT whose every row holds at most one row of the table, whose groups are
those of the key alone and stand or fall with nothing else (no HAVING), and that no view or function can read the table
behind its back: all relations are tables that the look-up declares in ``reads``, and the functions are known ones.
What this does not understand for certain is not proven, which costs a resync too many and shows nobody a row too many.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

__all__ = ["gathered"]

#: Words that a statement of this form does without, and marks that could hide some.
_BEYOND_US = re.compile(
    r"\b(?:union|intersect|except|with|having|limit|offset|fetch|over|lateral|exists|tablesample|distinct|natural"
    r"|only|unnest|rollup|cube|grouping|window|for)\b|--|/\*|\"|\$\$|::(?!\w+\[\])"
)
_FORM = re.compile(
    r"select (?P<items>.+?) from (?P<tables>.+?) where (?P<where>.+) group by (?P<group>[\w.]+)"
)
_NAME = r"[a-z_]\w*"
_TABLE = re.compile(
    rf"(?P<table>{_NAME}(?:\.{_NAME})?)(?: (?:as )?(?!on\b|using\b)(?P<alias>{_NAME}))?(?: (?:on|using) (?P<on>.+))?"
)
_JOIN = re.compile(r" (?:(?:inner|cross|left(?: outer)?) )?join |, ?")
_COLUMN = re.compile(rf"(?:(?P<alias>{_NAME})\.)?(?P<column>{_NAME})")
_ITEM = re.compile(
    rf"array_agg ?\( ?(?:(?P<alias>{_NAME})\.)?(?P<column>{_NAME})(?: order by [\w., ]+)? ?\)"
    rf"(?: filter ?\( ?where [^()]+\))? (?:as )?(?P<name>{_NAME})"
)
#: A parenthesis behind a word is a call; these are no calls, or of functions that read no table.
_CALL = re.compile(r"([\w.]+) ?\(")
_HARMLESS = frozenset(
    {"any", "in", "and", "or", "not", "on", "array_agg", "coalesce", "lower", "filter", "where"}
)


def gathered(sql: str, reads: Collection[str]) -> dict[str, dict[str, str]]:
    """By table of ``reads`` (``schema.table``), the columns of the result that are gathered from a column of it."""
    text = " ".join(sql.lower().split()).rstrip("; ")
    form = _FORM.fullmatch(text)
    if form is None or _BEYOND_US.search(text) or len(re.findall(r"\bselect\b", text)) != 1:
        return {}
    if any(call not in _HARMLESS for call in _CALL.findall(text)):
        return {}
    tables = _tables(form["tables"], reads)
    items = _split(form["items"])
    key = _COLUMN.fullmatch(items[0].partition(" ")[0])
    if tables is None or key is None or form["group"] not in ("1", key[0]):
        return {}
    found: dict[str, dict[str, str]] = {}
    for item in items[1:]:
        one = _ITEM.fullmatch(item)
        if one is not None and (table := _owner(one["alias"], tables)) is not None:
            found.setdefault(table, {})[one["name"]] = one["column"]
    return found


def _tables(text: str, reads: Collection[str]) -> dict[str, str] | None:
    """By alias, the tables that a statement reads; None unless each is declared and occurs once."""
    found: dict[str, str] = {}
    for part in _JOIN.split(text):
        one = _TABLE.fullmatch(part.strip())
        declared = [each for each in reads if one and one["table"] in (each, each.partition(".")[2])]
        if one is None or len(declared) != 1 or declared[0] in found.values():
            return None
        alias = one["alias"] or one["table"].rpartition(".")[2]
        if alias in found:
            return None
        found[alias] = declared[0]
    return found


def _owner(alias: str | None, tables: Mapping[str, str]) -> str | None:
    """The table that a column is of: the one its alias names, or the only one there is."""
    if alias is not None:
        return tables.get(alias)
    return next(iter(tables.values())) if len(tables) == 1 else None


def _split(items: str) -> list[str]:
    """The items of a select list; commas inside parentheses divide nothing."""
    parts, depth = [""], 0
    for char in items:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]
