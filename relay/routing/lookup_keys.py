"""Which key of a look-up a changed row bears on, where the look-up's own SQL proves it.

    SELECT t.id, u.email FROM payment t JOIN customer u ON u.id = t.customer_id WHERE t.id = ANY(%(keys)s)

A row of ``payment`` can only take part in the result for the key that equals its ``id``: the condition stands in a
conjunction and the table occurs once. So a new payment touches one key, and not everything ever looked up. A row of
``customer`` may bear on any key. Whatever this does not understand for certain is answered with "any key": that costs
queries, while a wrong proof would show stale rows.
"""

from __future__ import annotations

import re

__all__ = ["keyed_by"]

#: The condition on the keys, as one member of a conjunction: nothing before or after it may turn it round.
_PARAMETER = re.compile(
    r"\b(?:where|and|on) (?:([a-z_]\w*)\.)?([a-z_]\w*)\s*=\s*any\s*\(\s*%\(keys\)s(?:::[\w ]+\[\])?\s*\)"
    r"(?=$| and | group by | having | order by )"
)
#: Words with which a row might bear on other keys than its own, and marks that could hide such words.
_BEYOND_US = re.compile(
    r"\b(?:or|not|union|intersect|except|with|over|lateral|exists|case|between|limit|offset|fetch)\b|--|/\*|\""
)
_AFTER_TABLE = "where|join|on|using|inner|left|right|full|cross|natural|group|order|having|limit|tablesample"


def keyed_by(sql: str, table: str) -> str | None:
    """The column of ``table`` (``schema.table``) that holds the key of every result its rows bear on; None: unknown."""
    text = " ".join(sql.lower().split())
    if text.count("%(keys)s") != 1 or len(re.findall(r"\bselect\b", text)) != 1 or _BEYOND_US.search(text):
        return None
    parameter = _PARAMETER.search(text)
    schema, _, name = table.lower().partition(".")
    spelled = rf"(?:{re.escape(schema)}\.)?{re.escape(name)}"
    mentions = re.findall(rf"(?<![\w.]){spelled}(?![\w.])", text)
    place = re.search(rf"\b(?:from|join) {spelled}(?![\w.])(?: (?:as )?(?!(?:{_AFTER_TABLE})\b)(\w+))?", text)
    if parameter is None or place is None or len(mentions) != 1:
        return None
    alias = place[1] or name
    owner, column = parameter[1], parameter[2]
    if owner is not None:
        return column if owner == alias else None
    tables = re.search(r"\bfrom (.*?)(?: where\b|$)", text)
    alone = tables is not None and not re.search(r",|\bjoin\b", tables[1])
    return column if alone else None
