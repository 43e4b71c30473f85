"""From hold to live: what leaves at the client's pace, and what with the release."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from relay.gateway.feeding import Active, Feeder
from tests.support.routing import batch, change, image, view
from tests.support.stage import PAYMENT, Stage


class Peer:
    """Keeps what it is given: ``paced`` at the client's pace, ``sent`` at once."""

    def __init__(self) -> None:
        self.paced: list[bytes] = []
        self.sent: list[bytes] = []

    def send(self, *messages: bytes) -> bool:
        self.sent += messages
        return True

    async def send_all(self, messages: Sequence[bytes], *, wanted: Any) -> bool:
        self.paced += messages
        return True


@pytest.mark.parametrize(("rows", "size", "paced"), [(3, 10, False), (101, 10, True), (3, 40_000, True)])
async def test_what_was_held_leaves_at_the_clients_pace_if_it_is_much(
    rows: int, size: int, paced: bool
) -> None:
    """Many messages, or few large ones, do not count against the buffer of live events; a handful goes at once."""
    stage, peer = Stage(), Peer()
    subscriber = stage.hub.attach(SimpleNamespace())
    subscription = stage.hub.join(subscriber, view(PAYMENT))
    changes = [change(n, "insert", image(n, note="x" * size)) for n in range(1, rows + 1)]
    stage.hub.publish(await stage.preparer.prepare(changes), batch(changes))
    services: Any = SimpleNamespace(hub=stage.hub)
    feeder = Feeder(peer, services, is_current=lambda _: True, stop=lambda *_: None)  # type: ignore[arg-type]
    await feeder.fill(Active("payments", view(PAYMENT), {}, subscription, 0))
    assert subscription.held is None
    assert len(peer.paced if paced else peer.sent) == rows
    assert not (peer.sent if paced else peer.paced)
