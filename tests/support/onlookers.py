"""People of every role on every path of one relay, who keep all that they are ever sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from relay.config import PolicySettings, Settings
from tests.support.client import Client, Frame, connected
from tests.support.database import Database
from tests.support.leaks import NORTH, SOUTH
from tests.support.polling import Poller, get, query
from tests.support.relay import RunningRelay, settings_for

__all__ = ["CLAIMS", "OLD_PAGES", "READERS", "Person", "Watch", "begin", "settings"]

MASKS = {
    "customer_email": "email",
    "customer_name": "redact",
    "metadata": "redact",
    "payment_intent_id": "last8",
}
POLICIES: list[dict[str, Any]] = [
    {"name": "superuser", "when": {"is_superuser": True}, "channels": ["*"]},
    {
        "name": "staff",
        "when": {"is_staff": True},
        "channels": ["transactions", "disputes", "fraud_alerts"],
        "mask": {**MASKS, "resolved_by": "drop"},
    },
    {
        "name": "auditor",
        "when": {"role": "auditor"},
        "channels": ["transactions", "disputes"],
        "mask": {
            **MASKS,
            "customer_email": "hash",
            "customer_name": "drop",
            "status": "drop",
            "status_display": "drop",
        },
    },
    {
        "name": "owner",
        "when": {"role": "school_owner"},
        "channels": ["transactions", "disputes"],
        "where": {"school_ids": {"overlaps": "$claims.school_ids"}},
        "mask": MASKS,
    },
]
CLAIMS: Mapping[str, Mapping[str, Any]] = {
    "superuser": {"is_superuser": True},
    "staff": {"is_staff": True},
    "auditor": {"role": "auditor"},
    "north": {"role": "school_owner", "school_ids": [NORTH]},
    "south": {"role": "school_owner", "school_ids": [SOUTH]},
    "no school": {"role": "school_owner", "school_ids": []},
}
GLOBAL = frozenset({"superuser", "staff", "auditor"})
READERS: Mapping[int | None, frozenset[str]] = {
    None: GLOBAL,
    NORTH: GLOBAL | {"north"},
    SOUTH: GLOBAL | {"south"},
}
CHANNELS = ("transactions", "disputes", "fraud_alerts", "webhooks", "metrics", "webhook_status")
OLD_PAGES = ("payments", "transactions", "webhooks")


def settings(database: Database) -> Settings:
    """The demo's channels under the policies above."""
    made = settings_for(database.daemon_dsn, masks={"hash_key": "a key for hashes, thirty-two bytes long"})
    return made.model_copy(update={"policies": tuple(map(PolicySettings.model_validate, POLICIES))})


@dataclass
class Person:
    """Somebody of one role, and everything they were ever sent, on whatever path."""

    role: str
    token: str
    frames: list[Frame] = field(default_factory=list)
    answers: list[Frame] = field(default_factory=list)
    back: tuple[str, dict[str, str]] = ("", {})
    granted: list[str] = field(default_factory=list)
    poller: Poller | None = None

    def of(self, type: str) -> list[Frame]:
        """The messages of one type."""
        return [frame for frame in self.frames if frame["type"] == type]


class Watch:
    """People on all paths of one relay, who read until told otherwise."""

    def __init__(self, running: RunningRelay) -> None:
        self.running = running
        self.people = {
            role: Person(role, running.token(claims, subject=role)) for role, claims in CLAIMS.items()
        }

    @contextlib.asynccontextmanager
    async def open(self, wishes: Mapping[str, Mapping[str, Any]]) -> AsyncIterator[None]:
        """Everybody on the path of today, subscribed to what they may see with these ``wishes``; and, where nobody
        brings a cursor, on those of old pages. At the end all that was committed until then has come."""
        async with contextlib.AsyncExitStack() as stack:
            clients = []
            for role, person in self.people.items():
                client = await stack.enter_async_context(connected(self.running.url, person.token))
                person.back = await begin(client, **wishes[role])
                person.granted = client.of("welcome")[0]["channels"]
                clients.append((person, client))
                for page in OLD_PAGES if "since" not in wishes[role] else ():
                    base = self.running.url.removesuffix("payment-monitoring/")
                    url = f"{base}admin/{page}/?token={person.token}"
                    client = await stack.enter_async_context(connected(url))
                    if page == "payments":
                        await client.send("subscribe", channels=CHANNELS)
                    clients.append((person, client))
            async with asyncio.TaskGroup() as reading:
                for _, client in clients:
                    reading.create_task(client.closed(within=60))
                yield
                await self.running.settle()
                for _, client in clients:
                    await (await client.socket.ping())  # its answer comes behind all that was written before
                    await client.socket.close()
            for person, client in clients:
                person.frames += client.frames

    async def ask(self) -> None:
        """What everybody gets by HTTP: a poll that goes on from the last, rows of every channel, and the schema."""
        for person in self.people.values():
            if person.poller is None:
                granted = [name for name in CHANNELS if name in person.granted]
                person.poller = Poller(self.running.http, person.token, granted, snapshot=100)
            await person.poller.poll(wait=0)
            person.answers += person.poller.frames
            for path in (*(f"snapshot?{query(channel=name, rows=100)}" for name in CHANNELS), "schema"):
                answer = await get(f"{self.running.http}/api/{path}", person.token)
                person.answers.append({"type": "answer", "body": answer.body})


async def begin(client: Client, *channels: str, **wishes: Any) -> tuple[str, dict[str, str]]:
    """Subscribe, to all that is granted unless told; the cursor and the views to come back with."""
    granted = (await client.take("welcome"))["channels"]
    await client.send("subscribe", channels=channels or granted, **wishes)
    views = {name: each["view"] for name, each in (await client.take("subscribed"))["channels"].items()}
    return (await client.take("checkpoint"))["cursor"], views
