"""Markdown tables and verdicts: how measurements are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Goal", "Table", "count", "verdict", "write_json"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A number to reach: at least ``least``, or at most ``most``; ``unit`` is put behind it."""

    least: float | None = None
    most: float | None = None
    unit: str = ""

    def reached(self, number: float) -> bool:
        """Whether the number is good enough."""
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)

    def __str__(self) -> str:
        bounds = [("≥", self.least), ("≤", self.most)]
        return ", ".join(f"{sign} {_plain(bound)}{self.unit}" for sign, bound in bounds if bound is not None)


def verdict(pairs: Sequence[tuple[float, Goal]]) -> str:
    """The last column of a table: the goals, and whether they were reached. A dash if there is none."""
    if not pairs:
        return "—"
    wanted = " and ".join(str(goal) for _, goal in pairs)
    missed = [goal for number, goal in pairs if not goal.reached(number)]
    if not missed:
        return f"{wanted}: reached"
    if len(missed) == len(pairs):
        return f"{wanted}: **not reached**"
    return f"{wanted}: {' and '.join(map(str, missed))} **not reached**"


def count(number: float) -> str:
    """A large number as people read it."""
    return f"{number:,.0f}"


def _plain(number: float) -> str:
    return count(number) if number >= 1000 else f"{number:g}"


@dataclass(slots=True)
class Table:
    """One measurement: a Markdown table with a title, remarks below it, and the raw numbers behind it.

    ``columns`` that begin with ``>`` are aligned to the right (the sign is not shown).
    """

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

    def add(self, *cells: str) -> None:
        """Append a row. ValueError if it does not fit the columns."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells in a table of {len(self.columns)} columns")
        self.rows.append(cells)

    def markdown(self) -> str:
        """The table as text."""
        lines = [f"### {self.title}", ""]
        lines.append(_line(column.removeprefix(">") for column in self.columns))
        lines.append(
            "|" + "|".join("---:" if column.startswith(">") else "---" for column in self.columns) + "|"
        )
        lines.extend(_line(cells) for cells in self.rows)
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"

    def as_json(self) -> dict[str, Any]:
        """The table and what is behind it, for machines."""
        names = [column.removeprefix(">") for column in self.columns]
        rows = [dict(zip(names, cells, strict=True)) for cells in self.rows]
        return {"title": self.title, "rows": rows, "notes": self.notes, "raw": self.raw}


def _line(cells: Any) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write_json(path: Path, machine: Mapping[str, Any], tables: Sequence[Table]) -> None:
    """Write all tables to a file, replacing it."""
    document = {"machine": machine, "tables": [table.as_json() for table in tables]}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
