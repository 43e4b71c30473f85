"""The live stream as lines on a terminal: a WebSocket client like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from relay import jsontext

__all__ = ["describe", "follow"]

#: Keys of ``data`` that are not the object itself.
BESIDE = frozenset({"action", "changed", "previous_status"})
#: Fields that say what an object is about, the most telling first.
TELLING = ("event_type", "alert_type", "reason", "transaction_type", "customer_email")


async def follow(url: str, token: str, channels: list[str], write: Callable[[str], None]) -> None:
    """Write a line for every message on ``channels``, until the server ends the connection."""
    try:
        # proxy=None: the demo is on this machine, whatever the environment says about proxies.
        async with connect(
            url, additional_headers={"Authorization": f"Bearer {token}"}, proxy=None
        ) as socket:
            await socket.send(jsontext.encode({"type": "subscribe", "channels": channels}), text=True)
            async for text in socket:
                line = describe(jsontext.decode(text))
                if line is not None:
                    write(line)
    except (OSError, WebSocketException) as error:
        write(f"the live stream has ended: {error}")


def describe(message: Mapping[str, Any]) -> str | None:
    """One line for a person, or None for messages that no person waits for."""
    if message.get("type") in ("error", "resync", "capture_status", "goodbye"):
        why = message.get("message") or message.get("reason") or message.get("status")
        return f"{'':10}{message['type']}: {why}"
    data = message.get("data")
    if not isinstance(data, dict):
        return None
    row = next((v for k, v in data.items() if k not in BESIDE and isinstance(v, dict)), {})
    status = str(row.get("status") or "")
    if data.get("previous_status"):
        status = f"{data['previous_status']} → {status}"
    amount = f"{row['amount']} {row.get('currency', 'eur')}" if row.get("amount") else ""
    about = ", ".join(str(row[name]) for name in TELLING if row.get(name))
    time = str(message.get("timestamp") or "")[11:19]
    number = f"#{row.get('id', '?')}"
    return f"{time:10}{message.get('channel', ''):14}{number:7}{status:26}{amount:>12}  {about}".rstrip()
