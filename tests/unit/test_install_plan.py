"""What an installation has still to do, from what was found and what is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from relay.capture.install_plan import Survey, Watched, make_plan, quote_name
from relay.errors import MappingError, SchemaMismatch

ORDERS = {"public.orders": frozenset({"id", "state"})}
WHOLE = Watched(frozenset({"id", "state"}), frozenset(), "outbox", False, "")
FOUND = Survey(
    database="shop",
    user="owner",
    server_version="18.0",
    version=3,
    stale=False,
    watched={"public.orders": WHOLE},
    tables={"public.orders": frozenset({"id", "state", "note"})},
)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files of an installation."""
    for name in ("001_a.sql", "002_b.sql"):
        (tmp_path / name).write_text(f"-- {name}")
    return sorted(tmp_path.iterdir())


def test_a_database_that_has_all_needs_nothing(files: list[Path]) -> None:
    """The right version and all tables watched as needed: an empty plan."""
    assert make_plan(ORDERS, FOUND, 3, files) == ()


def test_an_empty_database_gets_files_then_grant_then_watches(files: list[Path]) -> None:
    """The files come first, in order; then the daemon's role; then the tables."""
    survey = replace(FOUND, version=None, watched={}, reader="relay_daemon")
    assert [str(step) for step in make_plan(ORDERS, survey, 3, files)] == [
        f"\\i {files[0]}",
        f"\\i {files[1]}",
        "GRANT relay_reader TO relay_daemon;",
        "SELECT relay.watch('public.orders', ARRAY['id', 'state']);",
    ]


def test_an_older_schema_gets_the_files_alone(files: list[Path]) -> None:
    """An upgrade runs all files again and watches nothing anew."""
    plan = make_plan(ORDERS, replace(FOUND, version=2), 3, files)
    assert [step.file for step in plan] == files
    assert {step.why for step in plan} == {"upgrades version 2 to 3"}


def test_capture_functions_for_another_server_setting_are_written_again(files: list[Path]) -> None:
    """A changed max_prepared_transactions is mended by running the files again."""
    (first, _) = make_plan(ORDERS, replace(FOUND, stale=True), 3, files)
    assert "max_prepared_transactions" in first.why


def test_lost_grants_are_given_again(files: list[Path]) -> None:
    """Where the daemon's rights in schema relay are gone, the files are run again."""
    (first, _) = make_plan(ORDERS, replace(FOUND, bare=True), 3, files)
    assert first.why == "relay_reader lacks rights in schema relay"


def test_a_newer_schema_is_left_alone(files: list[Path]) -> None:
    """A program never installs over a schema that is newer than itself."""
    with pytest.raises(SchemaMismatch, match="has version 4, and this program knows 3; upgrade"):
        make_plan(ORDERS, replace(FOUND, version=4), 3, files)


def test_columns_are_added_and_never_taken_away() -> None:
    """What is watched beyond the needs stays, in the mode it is watched in; what is gone is dropped from the list."""
    known = Watched(frozenset({"id", "note", "lost"}), frozenset({"lost"}), "notify", True, "has lost lost")
    (step,) = make_plan(ORDERS, replace(FOUND, watched={"public.orders": known}), 3, [])
    assert step.sql == (
        "SELECT relay.watch('public.orders', ARRAY['id', 'note', 'state'], mode => 'notify', always => true)"
    )
    assert step.why == "public.orders adds state"


@pytest.mark.parametrize("trouble", ["has lost its trigger", "has its trigger disabled", "has drifted (x)"])
def test_broken_capture_is_mended(trouble: str) -> None:
    """A table whose capture is not whole is watched again, and the plan says why."""
    watched = {"public.orders": replace(WHOLE, trouble=trouble)}
    (step,) = make_plan(ORDERS, replace(FOUND, watched=watched), 3, [])
    assert step.why == f"public.orders {trouble}"


def test_tables_that_are_not_needed_are_not_touched() -> None:
    """Another relay's tables are none of this plan's business, broken or not."""
    watched = {"public.orders": WHOLE, "public.other": replace(WHOLE, trouble="has lost its trigger")}
    assert make_plan(ORDERS, replace(FOUND, watched=watched), 3, []) == ()


def test_a_missing_table_is_named() -> None:
    """A table of the config that does not exist is a mapping error, before anything is done."""
    with pytest.raises(MappingError, match=r"names table public\.orders, which does not exist"):
        make_plan(ORDERS, replace(FOUND, tables={}), 3, [])


def test_a_missing_column_is_named_with_the_nearest() -> None:
    """A column of the config that does not exist is named with the one that was probably meant."""
    tables = {"public.orders": frozenset({"id", "states"})}
    with pytest.raises(MappingError, match=r'names column state of public\.orders.*did you mean "states"'):
        make_plan(ORDERS, replace(FOUND, tables=tables), 3, [])
    tables = {"public.orders": frozenset({"id", "amount"})}
    with pytest.raises(MappingError, match="it has amount, id"):
        make_plan(ORDERS, replace(FOUND, tables=tables), 3, [])


def test_names_and_columns_are_quoted_where_they_must_be() -> None:
    """Capitals and quotes in names survive the way into SQL."""
    assert [quote_name(name) for name in ("orders", "Orders", 'a"b', "1st")] == [
        "orders",
        '"Orders"',
        '"a""b"',
        '"1st"',
    ]
    needed = {"Shop.Orders": frozenset({"it's"})}
    survey = replace(FOUND, watched={}, tables={"Shop.Orders": frozenset({"it's"})})
    (step,) = make_plan(needed, survey, 3, [])
    assert step.sql == """SELECT relay.watch('"Shop"."Orders"', ARRAY['it''s'])"""
