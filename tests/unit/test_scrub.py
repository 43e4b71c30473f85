"""Which fields of a row are scanned, and what becomes of the row."""

from __future__ import annotations

from typing import Any

import pytest

from relay.errors import RowInvalid
from relay.routing.channel import Channel, compile_channel
from relay.routing.projection import UNSCANNED
from relay.routing.rows import RowBuilder
from relay.routing.scan import REMOVED
from relay.routing.scrub import DEEPEST, LONGEST, Scrubber
from tests.support.routing import TYPES, settings

CARD = "4242424242424242"
COLUMNS = {
    "id": "bigint",
    "number": "character varying(40)",
    "amount": "numeric",
    "big": "bigint",
    "note": "text",
    "state": "my_enum",
    "meta": "jsonb",
    "tags": "text[]",
    "token": "uuid",
    "day": "date",
    "at": "timestamp with time zone",
    "looked": "",
}


def of(**fields: dict[str, Any]) -> Channel:
    """A channel of these fields, beside its id."""
    declared = settings(status="", fields={"id": {"column": "id", "type": "string"}, **fields}, lookups={})
    return compile_channel("payments", declared, COLUMNS, ["id"])


def scanned(field: dict[str, Any]) -> bool:
    """Whether a field is looked at."""
    return of(it=field).fields["it"].scanned


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"column": "note"}, True),
        ({"column": "number"}, True),
        ({"column": "state"}, True),
        ({"column": "meta"}, True),
        ({"column": "meta", "keys": ["a"]}, True),
        ({"column": "tags"}, True),
        ({"column": "note", "map": {"a": "b"}}, True),
        ({"constant": CARD}, False),
        ({"column": "amount", "type": "decimal"}, False),
        ({"column": "amount", "type": "string"}, False),
        ({"column": "big"}, False),
        ({"column": "big", "type": "string"}, False),
        ({"column": "token"}, False),
        ({"column": "day"}, False),
        ({"column": "at", "type": "timestamp"}, False),
    ],
)
def test_text_and_json_are_scanned_and_nothing_else(field: dict[str, Any], expected: bool) -> None:
    """Free text is; ids, amounts, times and values of the configuration are not, whatever type they are shown as."""
    assert scanned(field) is expected


def test_what_names_a_row_is_not_scanned() -> None:
    """The primary key and the field id stay as they are: rows that share a name cannot be told apart."""
    declared = settings(
        status="",
        lookups={},
        fields={"id": {"column": "note"}, "ref": {"column": "number"}, "x": {"column": "note"}},
    )
    channel = compile_channel("payments", declared, COLUMNS, ["number"])
    assert [each.name for each in channel.fields.values() if each.scanned] == ["x"]


def test_a_hidden_field_is_not_scanned() -> None:
    """What never leaves is left to policies as it is."""
    row = {"id": "1", "secret": CARD}
    Scrubber(of(secret={"column": "note", "hidden": True}))(row)
    assert row == {"id": "1", "secret": CARD}


def build(channel: Channel, **image: Any) -> dict[str, Any]:
    """The row of one image."""
    return RowBuilder(channel).build({"id": 1, **image}, {})


def test_a_row_keeps_apart_what_was_removed_from_it() -> None:
    """[removed] stands in the field; what stood there is kept for masks, and says which fields were touched."""
    row = build(of(note={"column": "note"}, meta={"column": "meta"}), note=f"pan {CARD}", meta={"a": 1})
    assert row["note"] == f"pan {REMOVED}"
    assert row[UNSCANNED] == {"note": f"pan {CARD}"}
    assert UNSCANNED not in build(of(note={"column": "note"}), note="nothing to see")


def test_unknown_statuses_are_scanned_after_mapping() -> None:
    """A stored value that no map foresees passes as it is, and is text like any other."""
    channel = of(status={"column": "note", "map": {CARD: "known"}})
    assert build(channel, note=CARD)["status"] == "known"
    assert build(channel, note=f"{CARD} ")["status"] == f"{REMOVED} "


def test_json_is_searched_at_every_depth() -> None:
    """Values, keys and whole numbers, in objects and lists, once and again."""
    scrub = Scrubber(of(meta={"column": "meta"}))
    dirty = {"a": [{"b": CARD}, [CARD]], f"k {CARD}": 1, "n": int(CARD)}
    clean = {"a": [{"b": REMOVED}, [REMOVED]], f"k {REMOVED}": 1, "n": REMOVED}
    for _ in range(2):
        row: dict[str, Any] = {"id": "1", "meta": dirty}
        scrub(row)
        assert row["meta"] == clean
        for value in ({"x": "y", "n": 7}, ["a", 1, True, None], "text", 5, None, {"x": {"y": "z"}}, 1.5):
            row = {"id": "1", "meta": value}
            scrub(row)
            assert row == {"id": "1", "meta": value}
    row = {"id": "1", "meta": int(CARD)}
    scrub(row)
    assert row["meta"] == REMOVED


def test_what_was_clean_as_an_amount_is_not_clean_as_a_number() -> None:
    """A decimal that equals a card number does not vouch for the whole number."""
    from decimal import Decimal

    scrub = Scrubber(of(meta={"column": "meta"}))
    for value, shown in (
        ([Decimal(f"{CARD}.0")], [Decimal(f"{CARD}.0")]),
        ([int(CARD)], [REMOVED]),
        ({"a": Decimal(f"{CARD}.0")}, {"a": Decimal(f"{CARD}.0")}),
        ({"a": int(CARD)}, {"a": REMOVED}),
    ):
        row: dict[str, Any] = {"id": "1", "meta": value}
        scrub(row)
        assert row["meta"] == shown


def test_numbers_of_undeclared_type_are_left_alone() -> None:
    """A look-up may give an id or an amount: nothing says that it is text."""
    channel = of()
    fields = settings(
        status="",
        fields={"id": {"column": "id"}, "ref": {"lookup": "tenant.ref"}},
    )
    channel = compile_channel("payments", fields, TYPES, ["id"])
    scrub = Scrubber(channel)
    row: dict[str, Any] = {"id": 1, "ref": int(CARD)}
    scrub(row)
    assert row["ref"] == int(CARD)
    row = {"id": 1, "ref": CARD}
    scrub(row)
    assert row["ref"] == REMOVED


def test_text_too_long_to_be_searched_is_removed_whole() -> None:
    """Where a very long text may hold something it goes; without any sign of that it stays."""
    channel = of(note={"column": "note"}, meta={"column": "meta"})
    long = "x" * LONGEST
    row = build(channel, note=f"{long} {CARD}", meta=[long, CARD])
    assert (row["note"], row["meta"]) == (REMOVED, REMOVED)
    row = build(channel, note=f"{long} and more", meta=[long, "more"])
    assert row["note"].endswith("and more")


@pytest.mark.parametrize("levels", [DEEPEST + 1, 2000])
def test_json_nested_too_deeply_is_not_valid(levels: int) -> None:
    """A row with such a value is quarantined, instead of failing on its way out; a hundred levels are fine."""
    channel = of(meta={"column": "meta"})

    def nested(depth: int) -> Any:
        value: Any = "x"
        for _ in range(depth):
            value = [value]
        return value

    assert build(channel, meta=nested(DEEPEST))["meta"] == nested(DEEPEST)
    with pytest.raises(RowInvalid, match="field meta: nested too deeply"):
        build(channel, meta=nested(levels))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many different values come by, only so many are remembered as clean, and no long ones."""
    monkeypatch.setattr("relay.routing.scrub._REMEMBERED", 10)
    scrub = Scrubber(of(note={"column": "note"}, meta={"column": "meta"}))
    for number in range(100):
        scrub({"id": "1", "note": f"a note of its own {number}", "meta": {f"k{number}": "v" * 500}})
        assert len(scrub._clean) <= 13
        assert all(len(str(each)) < 500 for each in scrub._clean)
