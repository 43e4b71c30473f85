"""A hub with its preparer and subscribers that remember, for tests of what is sent to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from relay.capture.change import Change
from relay.routing.channel import Channel
from relay.routing.event import Prepared
from relay.routing.groups import Subscriber
from relay.routing.hub import Hub
from relay.routing.prepare import Preparer
from relay.routing.view import View
from tests.support.routing import PAYMENTS, Lookups, Recorder, batch, change, channel, image

PAYMENT = channel()
REFUND = channel("refunds", table="public.refund", message="refund_update")
CHANNELS = {"payments": PAYMENT, "refunds": REFUND}
SCOPE = {"school_ids": {"overlaps": [10]}}
MEMBER = {"id": 50, "user_id": 1, "school_id": 10}


class Stage:
    """A hub with its preparer, and subscribers that remember."""

    def __init__(
        self, *, ring: int = 1000, held: int = 1000, channels: Mapping[str, Channel] = CHANNELS
    ) -> None:
        self.source = Lookups({1: [10], 2: [20]})
        self.preparer = Preparer(channels, self.source)
        self.hub = Hub(channels, ring, held)

    def subscriber(self, *views: View) -> tuple[Recorder, Subscriber]:
        """A live subscriber of these views."""
        outlet = Recorder()
        subscriber = self.hub.attach(outlet)
        for each in views:
            assert self.hub.release(self.hub.join(subscriber, each)) == []
        return outlet, subscriber

    def publish(self, *changes: Change, **position: Any) -> Prepared:
        """Prepare and publish one batch."""
        prepared = asyncio.run(self.preparer.prepare(changes))
        self.hub.publish(prepared, batch(changes, **position))
        return prepared


def created(*ids: int) -> list[tuple[Any, ...]]:
    """What a subscriber is told of inserts, with the checkpoint that goes along."""
    return [*((str(id), "created", None) for id in ids), ("checkpoint",)]


def inserts(*ids: int, source: str = PAYMENTS) -> Sequence[Change]:
    """An insert for each event id."""
    return [change(id, "insert", image(id), source=source) for id in ids]


def resynced(outlet: Recorder) -> list[tuple[list[str], str]]:
    """The resyncs an outlet was told, with sorted channels."""
    return [(sorted(channels), reason) for channels, reason in outlet.resyncs]
