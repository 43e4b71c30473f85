"""What a sleeper counts as unannounced, and when it finds that it is deaf."""

from __future__ import annotations

from typing import Any, cast

import pytest

from relay.capture import queries
from relay.capture.listener import Listener
from relay.capture.session import Session
from relay.capture.stats import Stats
from relay.capture.vigil import ANNOUNCED_WITHIN, ECHO_WITHIN, Vigil
from relay.errors import CaptureDegraded


class FakeListener:
    """Has heard what it is told to have heard."""

    def __init__(self) -> None:
        self.wakes = 0
        self.hears = True

    def has_heard(self, nonce: str) -> bool:
        return self.hears


class FakeSession:
    """A server on which writers skip NOTIFY or not."""

    def __init__(self) -> None:
        self.skip = False
        self.said: list[str] = []

    async def fetch(self, statement: str, params: dict[str, Any]) -> None:
        self.said.append(params["payload"])

    async def value(self, statement: str) -> bool:
        assert statement == queries.WRITERS_SKIP_NOTIFY
        return self.skip


class Scene:
    """A vigil of five seconds with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.listener, self.session, self.stats = FakeListener(), FakeSession(), Stats()
        self.vigil = Vigil(
            cast(Session, self.session),
            cast(Listener, self.listener),
            self.stats,
            5.0,
            clock=lambda: self.now,
        )

    def later(self, seconds: float) -> int:
        """Judge after so many more seconds; what counts as unannounced then."""
        self.now += seconds
        self.vigil.judge()
        return self.stats.unannounced_events


def test_what_is_announced_in_time_is_no_matter() -> None:
    """Rows found in sleep wait for their notification; when it comes they are forgotten."""
    scene = Scene()
    scene.vigil.found(3, wakes=0)
    assert scene.later(ANNOUNCED_WITHIN / 2) == 0
    scene.listener.wakes = 1
    assert scene.later(ANNOUNCED_WITHIN) == 0
    assert scene.later(100) == 0


def test_what_is_not_announced_is_counted_once() -> None:
    """When the time is over the rows are counted, and never again."""
    scene = Scene()
    scene.vigil.found(3, wakes=0)
    scene.vigil.found(2, wakes=0)
    assert scene.vigil.due == pytest.approx(scene.now + ANNOUNCED_WITHIN)
    assert scene.later(ANNOUNCED_WITHIN) == 0
    assert scene.later(0.2) == 5
    assert scene.later(ANNOUNCED_WITHIN) == 5


def test_nothing_is_overdue_at_first_sight() -> None:
    """A process that was stopped for long finds the time over; what it reads then still counts as in time."""
    scene = Scene()
    scene.vigil.found(3, wakes=0)
    assert scene.later(3600) == 0
    scene.listener.wakes = 1
    assert scene.later(1) == 0


async def test_rounds_come_at_their_time() -> None:
    """A round is due so long after falling asleep, or after the last one; it asks what a writer would ask."""
    scene = Scene()
    scene.now += 4
    scene.vigil.begin()
    due = []
    for seconds in (4.9, 0.2):
        scene.now += seconds
        due.append(scene.vigil.round_due)
    assert await scene.vigil.make_round()
    due.append(scene.vigil.round_due)
    assert due == [False, True, False]
    scene.session.skip = True
    assert not await scene.vigil.make_round()


async def test_a_relay_that_does_not_hear_itself_gives_up() -> None:
    """Its own word has to come back before the next one is said; past the time the connection is no good."""
    scene = Scene()
    scene.listener.hears = False
    await scene.vigil.make_round()
    await scene.vigil.make_round()
    assert len(scene.session.said) == 1
    scene.later(ECHO_WITHIN / 2)
    scene.later(ECHO_WITHIN)
    with pytest.raises(CaptureDegraded):
        scene.later(0.2)
    scene.listener.hears = True
    scene.later(0)
    await scene.vigil.make_round()
    assert len(scene.session.said) == 2
