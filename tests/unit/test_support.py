"""The helpers of the tests keep their own promises."""

import asyncio
import itertools

import pytest

from tests.support.proxy import TcpProxy
from tests.support.waiting import eventually


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back whatever comes, until the other side ends."""
    while data := await reader.read(1024):
        writer.write(data)
    writer.close()


async def test_eventually_returns_the_first_truthy_result() -> None:
    """A condition is asked, async or not, until it holds; a failed assertion in it means not yet."""
    numbers = itertools.count()

    def third() -> str:
        assert next(numbers) >= 2
        return "here"

    assert await eventually(third) == "here"


async def test_eventually_fails_with_what_it_saw_last() -> None:
    """When time is up the last assertion, or the last result, is the failure."""

    async def never() -> list[int]:
        return []

    with pytest.raises(AssertionError, match=r"last result was \[\]"):
        await eventually(never, within=0)

    def wrong() -> bool:
        raise AssertionError("two is not three")

    with pytest.raises(AssertionError, match="two is not three"):
        await eventually(wrong, within=0)


async def test_a_cut_network_refuses_until_it_is_restored() -> None:
    """Cutting ends connections and refuses new ones; the same port works again after the repair."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        await proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        await proxy.restore()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
        writer.close()
        assert proxy.accepted == 2


async def test_a_frozen_network_delivers_after_the_thaw() -> None:
    """Bytes sent into a frozen network arrive when it thaws; a frozen connection can be cut."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        proxy.freeze()
        writer.write(b"later")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(5), 0.05)
        proxy.thaw()
        assert await reader.readexactly(5) == b"later"
        proxy.freeze()
        await proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


def test_a_proxy_stands_in_for_an_address() -> None:
    """A URL keeps its credentials and path when it is sent through a proxy."""
    proxy = TcpProxy.before("postgresql://user:secret@db.example:5432/shop")
    proxy.port = 4711
    url = "postgresql://user:secret@db.example:5432/shop"
    assert proxy.through(url) == "postgresql://user:secret@127.0.0.1:4711/shop"
