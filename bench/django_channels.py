"""The same fan-out by Django Channels with its in-memory layer, where that is installed.

It is what most dashboards beside a Django backend are built on. Its own advice for production is the Redis layer,
which is another process and several times slower, so this compares with its better side.
"""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from typing import Any

from relay.jsontext import encode

__all__ = ["deliveries_per_core_second"]

GROUP = "payments"


async def deliveries_per_core_second(message: dict[str, Any], clients: int, times: int) -> float | None:
    """Send ``message`` to a group of so many consumers, over and over. None: Channels is not installed."""
    try:
        consumers = import_module("channels.generic.websocket")
        layers = import_module("channels.layers")
        settings = import_module("django.conf").settings
    except ImportError:
        return None
    if not settings.configured:
        settings.configure(CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}})

    class Dashboard(consumers.AsyncWebsocketConsumer):  # type: ignore[name-defined,misc]
        groups = (GROUP,)

        async def payment_update(self, event: dict[str, Any]) -> None:
            await self.send(text_data=encode(event["message"]).decode())

    layer = layers.get_channel_layer()
    arrived, accepted = 0, 0
    news = asyncio.Event()

    async def send(event: dict[str, Any]) -> None:
        nonlocal arrived, accepted
        accepted += event["type"] == "websocket.accept"
        arrived += event["type"] == "websocket.send"
        news.set()

    async def until(done: Any) -> None:
        while not done():
            news.clear()
            await news.wait()

    application = Dashboard.as_asgi()
    loop = asyncio.get_running_loop()
    inboxes: list[asyncio.Queue[dict[str, Any]]] = [asyncio.Queue() for _ in range(clients)]
    running = [loop.create_task(application({"type": "websocket"}, inbox.get, send)) for inbox in inboxes]
    try:
        for inbox in inboxes:
            inbox.put_nowait({"type": "websocket.connect"})
        await until(lambda: accepted == clients)
        used = time.process_time()
        for number in range(1, times + 1):
            await layer.group_send(GROUP, {"type": "payment.update", "message": message})
            await until(lambda: arrived == number * clients)  # noqa: B023
        used = time.process_time() - used
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return times * clients / used
