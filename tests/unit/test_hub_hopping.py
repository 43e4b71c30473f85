"""Two relays that cut large commits into other parts, and clients that go from one to the other."""

from __future__ import annotations

import pytest

from tests.support.hopping import play


@pytest.mark.parametrize("coalesce", [False, True])
def test_whoever_hops_between_relays_ends_with_exactly_its_rows(coalesce: bool) -> None:
    """Whatever parts of which commits a client had where, after dropping known ids its list is that of the database."""
    for seed in range(25):
        for number, client in enumerate(play(seed, steps=250, coalesce=coalesce)):
            assert client.actual() == client.expected(), f"seed {seed}, client {number}, {client.view}"
