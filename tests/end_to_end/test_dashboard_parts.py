"""What the dashboard thinks with, tested without a browser, and what it is made of."""

from __future__ import annotations

import re
from pathlib import Path

from relay.resources import web_directory
from tests.support.javascript import run_node

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD = web_directory() / "dashboard"
#: Node 20 reads these modules as what they are only when told to look.
LOOK = "--experimental-detect-module"


async def test_the_parts_that_decide_decide_rightly() -> None:
    """Ages, failure spikes, histories, deadlines, filters, orders and tokens: the suite of the pure modules passes."""
    printed = await run_node(LOOK, "--test", "dashboard.test.mjs", "dashboard-shown.test.mjs")
    assert re.search(r"^# pass [1-9]", printed, re.MULTILINE)


def test_every_file_is_small_and_holds_one_idea() -> None:
    """No file is longer than 300 lines, and each module says in its first line what it is."""
    for file in sorted(DASHBOARD.iterdir()):
        lines = file.read_text().splitlines()
        assert len(lines) <= 300, file.name
        if file.suffix in (".js", ".css"):
            assert lines[0].startswith(("// ", "/* ")), file.name


def test_all_modules_are_announced_in_the_head() -> None:
    """The page names every module of the dashboard, so that none waits for the one that imports it."""
    page = (DASHBOARD / "index.html").read_text()
    named = set(re.findall(r'(?:href|src)="dashboard/([^"]+\.js)"', page))
    assert named == {file.name for file in DASHBOARD.glob("*.js")}


def test_nothing_is_fetched_from_elsewhere_and_nothing_is_written_as_markup() -> None:
    """The page names no other host, and its code never turns data into HTML, so none can become a script."""
    for file in sorted(DASHBOARD.iterdir()):
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn", text), file.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), (
            file.name
        )


def test_the_pictures_of_the_documentation_are_there_and_small() -> None:
    """docs/dashboard.md shows every picture of docs/pictures, and all of them are less than 300 kB."""
    shown = set(re.findall(r"\(pictures/([a-z.-]+)\)", (DOCS / "dashboard.md").read_text()))
    assert shown == {file.name for file in (DOCS / "pictures").iterdir()}
    assert sum((DOCS / "pictures" / name).stat().st_size for name in shown) < 300_000
