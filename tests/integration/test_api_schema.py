"""``/api/schema``: what a token's holder can be sent, and nothing about the rest."""

from __future__ import annotations

from typing import Any

import fastjsonschema
import pytest

from tests.support.database import Database
from tests.support.payments import pay, student
from tests.support.polling import Poller, get
from tests.support.relay import ADMIN, OWNER, RunningRelay


async def schema(running: RunningRelay, claims: Any) -> dict[str, Any]:
    """The schema for these claims."""
    answer = await get(f"{running.http}/api/schema", running.token(claims))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/schema+json"
    found: dict[str, Any] = answer.body
    return found


async def test_it_describes_what_is_granted(running: RunningRelay) -> None:
    """Channels and aggregates of the token are in it; those of others are not, and neither are hidden fields."""
    everything, some = await schema(running, ADMIN), await schema(running, OWNER)
    assert {"TransactionsRow", "WebhooksRow", "MetricsNumbers"} <= set(everything["$defs"])
    assert "TransactionsRow" in some["$defs"]
    assert not {"WebhooksRow", "FraudAlertsRow", "MetricsNumbers", "WebhookStatusNumbers"} & set(
        some["$defs"]
    )
    assert "school_ids" not in some["$defs"]["TransactionsRow"]["properties"]
    # Only a mask of one's own makes a field optional.
    assert "payment_intent_id" in everything["$defs"]["TransactionsRow"]["required"]
    assert "payment_intent_id" not in some["$defs"]["TransactionsRow"]["required"]


@pytest.mark.parametrize("claims", [ADMIN, OWNER], ids=["admin", "owner"])
async def test_what_polls_bring_is_as_it_says(database: Database, running: RunningRelay, claims: Any) -> None:
    """Every message of a poll satisfies the schema of the same token."""
    valid = fastjsonschema.compile(await schema(running, claims))
    user = await student(database, school=1)
    client = Poller(running.http, running.token(claims), ["transactions"], snapshot=5, wait=5)
    await pay(database, user)
    await client.poll()
    await pay(database, user)
    await client.poll()
    assert client.of("transaction_update", "snapshot")
    for frame in client.frames:
        valid(frame)
    for wrong in ({"type": "nonsense"}, {**client.of("checkpoint")[0], "as_of": 5}):
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            valid(wrong)
