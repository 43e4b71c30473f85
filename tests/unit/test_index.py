"""The index of groups."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.routing.index import Index
from tests.support.routing import channel, view

PAYMENT = channel()


def row(**fields: Any) -> dict[str, Any]:
    """A row with null in all other fields."""
    return dict.fromkeys(PAYMENT.fields) | fields


def test_candidates_stand_under_the_values_of_either_row() -> None:
    """A group is found by the old as well as the new value, once, and groups without conditions always."""
    index: Index[str] = Index()
    views = {
        "failed": view(PAYMENT, {"status": "failed"}),
        "either": view(PAYMENT, {"status": ["failed", "open"]}),
        "school": view(PAYMENT, {"status": "failed"}, {"school_ids": {"overlaps": [1, 2]}}),
        "any": view(PAYMENT, {"any_of": [{"status": "open"}, {"currency": "usd"}]}),
        "large": view(PAYMENT, {"amount": {"gt": "100"}}),
        "all": view(PAYMENT),
    }
    for name, each in views.items():
        index.add(name, each)
    found = list(index.candidates(row(status="open"), row(status="failed")))
    assert sorted(found) == ["all", "any", "either", "failed", "large", "school"]
    assert len(found) == len(set(found))
    assert set(index.candidates(row(status="paid", school_ids=[2]), None)) == {"large", "all"}
    for name, each in views.items():
        index.remove(name, each)
    assert list(index.candidates(row(status="open", school_ids=[1]), row(status="failed"))) == []


def test_true_and_one_stand_in_different_places() -> None:
    """A school named true is not school 1."""
    index: Index[str] = Index()
    index.add("one", view(PAYMENT, None, {"school_ids": {"overlaps": [1]}}))
    index.add("true", view(PAYMENT, None, {"school_ids": {"overlaps": [True]}}))
    assert list(index.candidates(row(school_ids=[1]), None)) == ["one"]
    assert list(index.candidates(row(school_ids=[True, {}, [1]]), None)) == ["true"]
    assert list(index.candidates(row(school_ids={"1": 1}), None)) == []


statuses = st.sampled_from(["a", "b", "c"])
parts = st.one_of(
    st.fixed_dictionaries({"status": statuses | st.lists(statuses, max_size=3)}),
    st.fixed_dictionaries({"note": statuses}),
    st.fixed_dictionaries({"status": statuses, "note": st.lists(statuses, max_size=2)}),
    st.fixed_dictionaries({"status": st.fixed_dictionaries({"ne": statuses})}),
    st.fixed_dictionaries({"note": st.none()}),
)
specs = parts | st.fixed_dictionaries({"any_of": st.lists(parts, min_size=1, max_size=3)})
rows = st.builds(lambda status, note: row(status=status, note=note), statuses, statuses | st.none())


@given(st.lists(specs, max_size=8), rows, rows | st.none())
def test_no_match_is_ever_missed(filters: list[Any], new: dict[str, Any], old: dict[str, Any] | None) -> None:
    """Whatever the filters, every view that matches the new or the old row is among the candidates."""
    index: Index[int] = Index()
    views = [view(PAYMENT, spec) for spec in filters]
    for number, each in enumerate(views):
        index.add(number, each)
    matching = {
        number
        for number, each in enumerate(views)
        if each.wants(new) or (old is not None and each.wants(old))
    }
    assert matching <= set(index.candidates(new, old))


def test_true_and_one_are_two_values() -> None:
    """A JSON value that goes from true to 1 concerns those who asked for either, though Python calls them equal."""
    flags = channel(fields={"id": {"column": "id"}, "flag": {"column": "note", "type": "json"}})
    index: Index[str] = Index()
    index.add("true", view(flags, {"flag": True}))
    index.add("one", view(flags, {"flag": {"in": [1]}}))
    assert set(index.candidates({"id": 1, "flag": 1}, {"id": 1, "flag": True})) == {"true", "one"}
