"""A connection from its welcome to its close frame, over real sockets."""

from __future__ import annotations

import json

from tests.support.gateway import opened


async def test_a_token_in_the_header_is_welcomed() -> None:
    """A client with a good token is welcomed with what it may see and until when."""
    async with opened() as room, room.client() as client:
        welcome = json.loads(await client.recv())
        assert welcome["type"] == "welcome"
        assert welcome["protocol"] == 1
        assert welcome["subject"] == "ada"
        assert welcome["channels"] == ["transactions"]
        assert welcome["cursor"] == "c1"
        assert welcome["expires_at"].endswith("Z")
