"""TLS by the gateway itself."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from websockets.asyncio.client import connect

from relay.errors import ConfigError
from tests.support.certificates import make_certificate
from tests.support.gateway import (
    PATH,
    make_settings,
    make_token,
    opened,
    read_all,
    welcome,
)


def tls_settings(paths: tuple[Path, Path]) -> Any:
    """Settings with TLS by these files."""
    return make_settings(server={"tls_certificate": str(paths[0]), "tls_key": str(paths[1])})


def trusting() -> ssl.SSLContext:
    """A client's context that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def test_tls_is_spoken_natively(tmp_path: Path) -> None:
    """With a certificate configured, wss works from welcome to close; large batches arrive whole."""
    async with opened(tls_settings(make_certificate(tmp_path))) as room:
        url = f"wss://127.0.0.1:{room.port}{PATH}"
        headers = {"Authorization": f"Bearer {make_token()}"}
        async with connect(
            url, ssl=trusting(), additional_headers=headers, max_size=None, close_timeout=1
        ) as client:
            await welcome(client)
            room.hub.publish(*(json.dumps({"n": n, "x": "y" * 50_000}).encode() for n in range(20)))
            assert [json.loads(await client.recv())["n"] for n in range(20)] == list(range(20))
            await client.send("no json")
            messages, close = await read_all(client)
            assert ([m["code"] for m in messages], close) == (["not_json"], 1007)


async def test_a_reload_renews_the_certificate(tmp_path: Path) -> None:
    """After a reload new connections see the new certificate; files that went bad leave the old one in
    use."""
    paths = make_certificate(tmp_path)
    async with opened(tls_settings(paths)) as room:

        async def seen() -> bytes:
            _, writer = await asyncio.open_connection("127.0.0.1", room.port, ssl=trusting())
            found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
            return found

        first = await seen()
        for old, new in zip(paths, make_certificate(tmp_path, "renewed"), strict=True):
            new.replace(old)
        room.gateway.reloaded()
        second = await seen()
        assert second != first
        paths[0].write_text("rubbish")
        room.gateway.reloaded()
        assert await seen() == second


async def test_certificates_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    """A missing file, a key of another certificate, an encrypted key: one line that names the setting and
    file."""
    certificate, key = make_certificate(tmp_path)
    _, other_key = make_certificate(tmp_path, "other")
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for files, named in (
        ((tmp_path / "missing.pem", key), "server.tls_certificate"),
        ((certificate, tmp_path / "missing.key"), "server.tls_key"),
        ((certificate, other_key), "belong together"),
        ((key, certificate), "belong together"),
        ((certificate, locked), "encrypted"),
    ):
        with pytest.raises(ConfigError, match=named) as caught:
            async with opened(tls_settings(files)):
                pass
        assert "\n" not in str(caught.value)
