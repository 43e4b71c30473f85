"""Puts fresh tables into a document, between the marks that say where each belongs."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["put"]


def put(text: str, blocks: Mapping[str, str]) -> str:
    """``text`` with each of ``blocks`` in place of what stands between its marks.

    The marks of a block are ``<!-- bench: NAME -->`` and ``<!-- end -->``, each on a line of its own. ValueError names
    a block that has none.
    """
    for name, block in blocks.items():
        marks = re.compile(
            rf"(^<!-- bench: {re.escape(name)} -->\n).*?(^<!-- end -->$)", re.DOTALL | re.MULTILINE
        )
        if not marks.search(text):
            raise ValueError(f"the document has no place for {name}: <!-- bench: {name} --> and <!-- end -->")
        # A function, because the block may hold backslashes.
        text = marks.sub(lambda found, block=block: f"{found[1]}{block.strip()}\n{found[2]}", text)  # type: ignore[misc]
    return text
