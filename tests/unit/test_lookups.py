"""The cache of look-ups."""

from __future__ import annotations

from uuid import UUID

from relay.routing.lookups import LookupCache, key_text, results

L, M = ("payments", "tenant"), ("payments", "customer")


def test_nothing_found_is_an_answer_too() -> None:
    """That a key has no result is remembered like a result."""
    cache = LookupCache(10)
    cache.store(L, 0, {"1": {"a": 1}, "2": None})
    assert cache.get(L, "1") == (True, {"a": 1})
    assert cache.get(L, "2") == (True, None)
    assert cache.get(L, "3") == (False, None)
    assert cache.get(M, "1") == (False, None)


def test_the_least_recently_used_goes_first() -> None:
    """The cache holds no more than its capacity over all look-ups, and keeps what was used last."""
    cache = LookupCache(2)
    cache.store(L, 0, {"1": None, "2": None})
    cache.get(L, "1")
    cache.store(M, 0, {"3": None})
    assert len(cache) == 2
    assert [cache.get(L, "1")[0], cache.get(L, "2")[0], cache.get(M, "3")[0]] == [True, False, True]


def test_dropping_keys_or_all_of_a_look_up() -> None:
    """A change voids the keys it bears on, or all results of the look-up, and leaves other look-ups alone."""
    cache = LookupCache(10)
    for lookup in (L, M):
        cache.store(lookup, 0, {"1": None, "2": None})
    cache.drop(L, ["1"])
    assert [cache.get(L, "1")[0], cache.get(L, "2")[0], cache.get(M, "1")[0]] == [False, True, True]
    cache.drop(L)
    assert [cache.get(L, "2")[0], cache.get(M, "2")[0]] == [False, True]


def test_what_was_read_before_a_change_is_never_stored_after_it() -> None:
    """A query that began before results were voided may not bring them back."""
    cache = LookupCache(10)
    version = cache.version(L)
    cache.drop(L, ["9"])
    cache.store(L, version, {"1": {"a": "old"}})
    assert cache.get(L, "1") == (False, None)


def test_keys_meet_whatever_their_type() -> None:
    """A uuid from the driver and its text in a captured row are one key; the key itself can be shown as id."""
    id = UUID(int=7)
    assert key_text(id) == key_text(str(id))
    assert results([str(id), "9"], {id: {"email": "x"}}) == {
        str(id): {"id": str(id), "email": "x"},
        "9": None,
    }
