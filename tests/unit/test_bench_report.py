"""Numbers of rounds become ratios, tables and verdicts."""

import json
from pathlib import Path

import pytest

from bench.report import Goal, Table, verdict, write_json
from bench.rounds import Rounds, percentile


def test_ratios_are_taken_within_a_round() -> None:
    """A round in which everything was slow does not change a ratio."""
    rounds = Rounds()
    for weather in (1.0, 0.1, 1.0):
        rounds.add("none", 1000 * weather)
        rounds.add("ours", 900 * weather)
    assert rounds.median("none") == 1000
    assert rounds.ratio("ours", "none") == pytest.approx(0.9)


def test_unequal_rounds_are_refused() -> None:
    """A ratio needs a partner for every number."""
    rounds = Rounds()
    rounds.add("none", 1)
    rounds.add("ours", 1)
    rounds.add("ours", 1)
    with pytest.raises(ValueError, match="argument 2"):
        rounds.ratio("ours", "none")


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1), (0.001, 1)])
def test_a_percentile_is_one_of_the_numbers(share: float, value: float) -> None:
    """The nearest rank: the smallest number that so many do not exceed."""
    assert percentile(range(100, 0, -1), share) == value


def test_no_percentile_of_nothing() -> None:
    """An empty measurement is an error and not a zero."""
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_a_goal_may_be_a_floor_or_a_ceiling() -> None:
    """At least, at most, and how that is written."""
    assert Goal(least=20_000, unit="/s").reached(20_000)
    assert not Goal(most=5).reached(5.1)
    assert str(Goal(least=1_000_000, unit="/s")) == "≥ 1,000,000/s"
    assert str(Goal(most=2, unit=" ms")) == "≤ 2 ms"


def test_a_verdict_names_what_was_missed() -> None:
    """Goals come first; if only some were missed, those are named."""
    share, times = Goal(least=0.9), Goal(least=8)
    assert verdict([]) == "—"
    assert verdict([(0.95, share), (9, times)]) == "≥ 0.9 and ≥ 8: reached"
    assert verdict([(0.5, share), (9, times)]) == "≥ 0.9 and ≥ 8: ≥ 0.9 **not reached**"
    assert verdict([(0.5, share), (1, times)]) == "≥ 0.9 and ≥ 8: **not reached**"


def test_a_table_is_markdown() -> None:
    """Columns marked with > are aligned to the right, and bars in cells do not break a row."""
    table = Table("Speed", ("what", ">per second"), notes=["Taken on a quiet machine."])
    table.add("a|b", "10")
    assert table.markdown() == (
        "### Speed\n\n| what | per second |\n|---|---:|\n| a\\|b | 10 |\n\nTaken on a quiet machine.\n"
    )


def test_a_row_must_fit_its_table() -> None:
    """A forgotten cell is an error and does not shift the others."""
    with pytest.raises(ValueError, match="1 cells in a table of 2"):
        Table("Speed", ("what", "how")).add("alone")


def test_tables_are_written_for_machines(tmp_path: Path) -> None:
    """The file has the machine, the rows by column, and the numbers behind them."""
    table = Table("Speed", ("what", ">per second"), raw={"all": [9, 10, 11]})
    table.add("a", "10")
    write_json(tmp_path / "out.json", {"cores": 2}, [table])
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "machine": {"cores": 2},
        "tables": [
            {
                "title": "Speed",
                "rows": [{"what": "a", "per second": "10"}],
                "notes": [],
                "raw": {"all": [9, 10, 11]},
            }
        ],
    }
