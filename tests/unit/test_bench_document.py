"""Fresh tables take the place of old ones in a document."""

from pathlib import Path

import pytest

from bench.__main__ import BENCHMARKS
from bench.document import put

TEXT = "Before.\n\n<!-- bench: speed -->\nold\n<!-- end -->\n\nAfter.\n"


def test_a_block_replaces_what_stood_there() -> None:
    """Only what is between the marks changes."""
    changed = put(TEXT, {"speed": "| a\\|b |\n"})
    assert changed == "Before.\n\n<!-- bench: speed -->\n| a\\|b |\n<!-- end -->\n\nAfter.\n"


def test_putting_again_changes_nothing() -> None:
    """The marks stay, so the same tables can be put a second time."""
    once = put(TEXT, {"speed": "new"})
    assert put(once, {"speed": "new"}) == once


def test_a_block_without_a_place_is_an_error() -> None:
    """A table that would be lost is refused by name."""
    with pytest.raises(ValueError, match="no place for size"):
        put(TEXT, {"size": "new"})


def test_the_documentation_has_a_place_for_every_benchmark() -> None:
    """docs/benchmarks.md takes the tables of all benchmarks, and the machine."""
    document = Path(__file__).parents[2] / "docs" / "benchmarks.md"
    put(document.read_text(), dict.fromkeys(["machine", *BENCHMARKS], "new"))
