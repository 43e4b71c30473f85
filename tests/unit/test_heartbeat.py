"""One beat: a poll, then everybody in slices, then nobody forgotten."""

from __future__ import annotations

from typing import Any, cast

import pytest

from relay.gateway.connection import Connection
from relay.gateway.heartbeat import SLICE, Heartbeat, sliced
from relay.gateway.services import Services
from tests.support.gateway import make_settings
from tests.support.gateway_fakes import FakeCapture


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (500, [500]), (1201, [500, 500, 201])])
def test_slices_hold_everything_once(count: int, sizes: list[int]) -> None:
    """Items come in their order, in lists that are short enough."""
    slices = list(sliced(range(count)))
    assert [len(some) for some in slices] == sizes
    assert [item for some in slices for item in some] == list(range(count))


def test_slices_are_of_the_items_as_they_were() -> None:
    """What is added or removed while slices are taken changes nothing."""
    items = set(range(1000))
    seen = []
    for some in sliced(items):
        seen += some
        items.clear()
    assert sorted(seen) == list(range(1000))


class Client:
    """A connection that counts its pulses."""

    def __init__(self, *, ended: bool = False) -> None:
        self.ended = ended
        self.subscriber = self
        self.pulses: list[bool] = []

    def pulse(self, *, ping: bool, silent_since: float) -> int:
        self.pulses.append(ping)
        return 7


class Hub:
    """A hub that remembers the slices it was given."""

    def __init__(self) -> None:
        self.slices: list[int] = []

    def heartbeat(self, subscribers: list[Any], *, alive: bytes) -> None:
        self.slices.append(len(subscribers))


class House:
    """The services that a heartbeat uses."""

    def __init__(self) -> None:
        self.settings = make_settings()
        self.hub = Hub()
        self.capture = FakeCapture()


async def test_a_beat_reaches_everybody_who_is_there() -> None:
    """After one poll each open connection has its checkpoint and pulse, in slices; one that has ended has
    neither."""
    clients = [Client() for _ in range(SLICE + 1)] + [Client(ended=True)]
    house = House()
    heart = Heartbeat(cast(Services, house), lambda: cast(list[Connection], clients))
    await heart.beat(ping=True)
    await heart.beat(ping=False)
    assert house.capture.polls == 2
    assert house.hub.slices == [SLICE, 1] * 2
    assert all(client.pulses == [True, False] for client in clients[:-1])
    assert clients[-1].pulses == []


async def test_a_beat_without_the_database_is_a_beat() -> None:
    """When the poll fails everybody still hears from the relay."""
    client, house = Client(), House()
    house.capture.degraded = True
    await Heartbeat(cast(Services, house), lambda: cast(list[Connection], [client])).beat(ping=True)
    assert client.pulses == [True]
