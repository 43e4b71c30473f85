"""What is still to be done to a database so that the configured channels work there; decided, not done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from relay.errors import MappingError, SchemaMismatch

__all__ = ["Step", "Survey", "Watched", "make_plan", "quote_name"]


@dataclass(frozen=True, slots=True)
class Watched:
    """One table as ``relay.watched`` has it. ``trouble`` says what has to be mended, or is empty."""

    columns: frozenset[str]
    gone: frozenset[str]
    mode: str
    always: bool
    trouble: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found.

    ``version`` None: schema relay is absent. ``stale``: its capture functions were written for another
    ``max_prepared_transactions``. ``bare``: ``relay_reader`` has lost its rights there, or part of it is missing.
    ``tables``: the columns of those needed tables that exist. ``reader`` is the daemon's role if it has to be given
    ``relay_reader``, else empty.
    """

    database: str
    user: str
    server_version: str
    version: int | None
    stale: bool
    watched: Mapping[str, Watched]
    tables: Mapping[str, frozenset[str]]
    reader: str = ""
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: ``sql`` is run as it stands, in a transaction of its own."""

    sql: str
    why: str
    file: Path | None = None

    def __str__(self) -> str:
        """As somebody would type it into psql."""
        return f"\\i {self.file}" if self.file else f"{self.sql};"


def make_plan(
    needed: Mapping[str, frozenset[str]], survey: Survey, wanted: int, files: Sequence[Path]
) -> tuple[Step, ...]:
    """The steps from ``survey`` to a database with schema version ``wanted`` that watches what is ``needed``.

    Columns that are watched beyond that are kept: another relay may need them. Raises SchemaMismatch when the
    schema is newer than this program, MappingError when a needed table or column does not exist.
    """
    if survey.version is not None and survey.version > wanted:
        raise SchemaMismatch(
            f"schema relay in database {survey.database} has version {survey.version}, and this program "
            f"knows {wanted}; upgrade payment-relay"
        )
    steps: list[Step] = []
    if survey.version != wanted or survey.stale or survey.bare:
        why = f"upgrades version {survey.version} to {wanted}"
        if survey.version is None:
            why = "schema relay is absent"
        elif survey.version == wanted:
            why = "max_prepared_transactions has changed since the installation"
            if survey.bare:
                why = "relay_reader lacks rights in schema relay"
        steps += [Step(file.read_text(encoding="utf-8"), why, file) for file in files]
    if survey.reader:
        steps.append(
            Step(
                f"GRANT relay_reader TO {quote_name(survey.reader)}", "lets the daemon's role read the outbox"
            )
        )
    for table, columns in needed.items():
        _check_exists(table, columns, survey.tables.get(table))
        steps += _watch(table, columns, survey.watched.get(table))
    return tuple(steps)


def _check_exists(table: str, columns: frozenset[str], present: frozenset[str] | None) -> None:
    if present is None:
        raise MappingError(f"the config names table {table}, which does not exist; correct it in [channels]")
    if absent := sorted(columns - present):
        close = get_close_matches(absent[0], present, n=1)
        advice = f'did you mean "{close[0]}"?' if close else f"it has {', '.join(sorted(present))}"
        raise MappingError(
            f"the config names column {absent[0]} of {table}, which has none of that name; {advice}"
        )


def _watch(table: str, columns: frozenset[str], known: Watched | None) -> list[Step]:
    if known is None:
        return [_watch_step(table, columns, "outbox", False, "is not watched")]
    if added := sorted(columns - known.columns):
        why = f"adds {', '.join(added)}"
    elif known.trouble:
        why = known.trouble
    else:
        return []
    return [_watch_step(table, columns | known.columns - known.gone, known.mode, known.always, why)]


def _watch_step(table: str, columns: frozenset[str], mode: str, always: bool, why: str) -> Step:
    schema, _, name = table.partition(".")
    listed = ", ".join(map(_quote, sorted(columns)))
    extra = f", mode => {_quote(mode)}" if mode != "outbox" else ""
    extra += ", always => true" if always else ""
    qualified = _quote(f"{quote_name(schema)}.{quote_name(name)}")
    return Step(f"SELECT relay.watch({qualified}, ARRAY[{listed}]{extra})", f"{table} {why}")


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """``name`` as SQL takes it; quoted only where it must be, for people read these statements."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
