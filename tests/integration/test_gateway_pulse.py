"""Signs of life in both directions, and what is told of the capture side."""

from __future__ import annotations

import pytest

from relay.gateway import connection as connection_module
from relay.gateway import heartbeat as heartbeat_module
from tests.support.gateway import (
    hear,
    make_settings,
    opened,
    status,
    unharmed,
    welcome,
)
from tests.support.waiting import eventually


async def test_heartbeats_follow_a_poll() -> None:
    """Every interval each connection gets a checkpoint, after the database was asked."""
    async with opened(make_settings(server={"heartbeat_seconds": 0.05})) as room, room.client() as client:
        await welcome(client)
        before = room.services.capture.polls
        for _ in range(3):
            assert (await hear(client))["type"] == "checkpoint"
        assert room.services.capture.polls >= before + 2


@pytest.mark.parametrize("trouble", ["degraded", "stuck"])
async def test_heartbeats_go_on_without_the_database(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the poll fails or does not come back, the last position is repeated."""
    monkeypatch.setattr(heartbeat_module, "POLL_SECONDS", 0.05)
    async with opened(make_settings(server={"heartbeat_seconds": 0.05})) as room, room.client() as client:
        await welcome(client)
        setattr(room.services.capture, trouble, True)
        assert {(await hear(client))["cursor"] for _ in range(3)} == {"c1"}


async def test_a_silent_client_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client from which nothing is heard, pongs included, is let go; one that answers pings stays."""
    monkeypatch.setattr(heartbeat_module, "PING_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat_module, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(connection_module, "LINGER", 0.1)
    monkeypatch.setattr(connection_module, "LINGER_SLOW", 0.1)
    async with (
        opened(make_settings(server={"heartbeat_seconds": 0.05})) as room,
        room.client() as alive,
        room.client() as frozen,
    ):
        await welcome(alive)
        await welcome(frozen)
        frozen.transport.pause_reading()
        await eventually(lambda: len(room.gateway.connections) == 1)
        while (await hear(alive))["type"] != "checkpoint":
            pass
        assert len(room.gateway.connections) == 1


async def test_the_reason_for_operators_is_not_for_clients() -> None:
    """Clients learn that they may be missing something; hosts, roles and tables are for the log and for /readyz."""
    async with opened() as room, room.client() as client:
        await welcome(client)
        room.gateway.capture_status(status(False, reason="table public.salaries has lost its trigger"))
        assert (await hear(client))["reason"] == "some changes cannot be shown in full"
        assert "public.salaries" in (room.gateway.unready() or "")


async def test_everybody_is_told_about_the_capture_side() -> None:
    """capture_status reaches who is connected, and who connects while it is degraded."""
    async with opened() as room, room.client() as client:
        await welcome(client)
        room.gateway.capture_status(status(False, reason="relay_daemon@10.0.0.5: no", down=True))
        degraded = await hear(client)
        assert (degraded["type"], degraded["status"], degraded["reason"]) == (
            "capture_status",
            "degraded",
            "the database cannot be read",
        )
        async with room.client() as late:
            await welcome(late)
            assert await hear(late) == degraded
        room.gateway.capture_status(status(True))
        healthy = await hear(client)
        assert (healthy["status"], "reason" in healthy) == ("ok", False)
        async with room.client() as later:
            await welcome(later)
            await unharmed(room, later)
