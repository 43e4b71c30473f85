"""docs/operations.md lists the metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path

from relay import metrics

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"


def name_of(family: str, kind: str) -> str:
    """The name of a metric as a scrape shows it."""
    return f"{family}_total" if kind == "counter" else family


def rows() -> list[str]:
    """One row of the table for each metric of ours."""
    return [
        f"| `{name_of(family.name, family.type)}` | {family.type} | {family.documentation} |"
        for family in metrics.REGISTRY.collect()
        if family.name.startswith("relay_")
    ]


def test_every_metric_is_documented() -> None:
    """The table holds each metric with its type and meaning, in the order of the page."""
    block = re.search(r"<!-- metrics -->\n(.*?)\n?<!-- end -->", DOCUMENT.read_text(), re.DOTALL)
    assert block is not None
    expected = "\n".join(["| metric | type | meaning |", "|---|---|---|", *rows()])
    assert block[1] == expected, f"put this into {DOCUMENT.name}:\n{expected}"


def test_alerts_are_on_metrics_that_exist() -> None:
    """Whatever the document advises to watch is on the page."""
    named = set(re.findall(r"`(relay_\w+)`", DOCUMENT.read_text()))
    assert named == {row.split("`")[1] for row in rows()}
