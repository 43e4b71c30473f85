"""Firefox and WebKit without a window, each driven as it comes from Debian, without a driver from elsewhere.

Firefox speaks WebDriver BiDi itself (https://www.w3.org/TR/webdriver-bidi/) over a WebSocket that it opens on request.
WebKit has WebKitWebDriver, which speaks the older WebDriver (https://www.w3.org/TR/webdriver2/) over HTTP; it wants a
screen, so it gets one that nobody sees.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect

from tests.support.chaos.relays import free_port
from tests.support.waiting import eventually

__all__ = ["OtherBrowser", "firefox", "webkit"]

#: For a browser to start, or to answer.
PATIENCE_SECONDS = 60


class OtherBrowser(Protocol):
    """One tab of a browser."""

    async def open(self, url: str) -> None:
        """Go there, and wait until the page has loaded."""

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression: text, a number or a boolean."""

    async def picture(self) -> bytes:
        """What the tab shows, as PNG."""


class _Firefox:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self._context = ""

    async def begin(self) -> None:
        await self._do("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        tree = await self._do("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    async def _do(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                answer = json.loads(await self._socket.recv())
                if answer.get("id") == self._number:
                    break
        assert answer["type"] == "success", answer
        return dict(answer["result"])

    async def open(self, url: str) -> None:
        await self._do("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        target = {"context": self._context}
        done = await self._do("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert done["type"] == "success", done
        return done["result"].get("value")

    async def picture(self) -> bytes:
        taken = await self._do("browsingContext.captureScreenshot", context=self._context)
        return base64.b64decode(taken["data"])


class _WebKit:
    def __init__(self, base: str) -> None:
        self._base = base
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    async def begin(self) -> None:
        wanted = {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": True}}}
        session = await self._do("POST", "/session", wanted)
        self._base += f"/session/{session['sessionId']}"

    async def end(self) -> None:
        await self._do("DELETE", "")

    async def _do(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data=data, method=method)

        def ask() -> Any:
            try:
                with self._opener.open(request, timeout=PATIENCE_SECONDS) as answer:
                    return json.loads(answer.read())["value"]
            except urllib.error.HTTPError as error:
                raise RuntimeError(f"{method} {path}: {error.read().decode()}") from None

        return await asyncio.to_thread(ask)

    async def open(self, url: str) -> None:
        await self._do("POST", "/url", {"url": url})

    async def evaluate(self, expression: str) -> Any:
        return await self._do("POST", "/execute/sync", {"script": f"return ({expression})", "args": []})

    async def picture(self) -> bytes:
        return base64.b64decode(await self._do("GET", "/screenshot"))


def _program(name: str, package: str) -> str:
    """Where a program is. Fails the test that needs it where there is none: what is not run is not proven."""
    found = shutil.which(name)
    if found is None:
        raise AssertionError(f"{name} is missing: apt-get install {package}")
    return found


@contextlib.asynccontextmanager
async def _running(
    *command: str | Path, log: Path, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program in a process group of its own, all of which is ended at the end."""
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=os.environ | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


async def _printed(process: asyncio.subprocess.Process, log: Path, pattern: str) -> re.Match[str]:
    """Wait until a program has written something."""

    def there() -> re.Match[str] | None:
        text = log.read_text(errors="replace")
        # No AssertionError, which eventually() would take for "not yet".
        if process.returncode is not None:
            raise RuntimeError(f"it ended: {text}")
        return re.search(pattern, text)

    found = await eventually(there, within=PATIENCE_SECONDS)
    assert found is not None
    return found


@contextlib.asynccontextmanager
async def firefox(directory: Path) -> AsyncIterator[OtherBrowser]:
    """A new Firefox with a profile of its own in ``directory``."""
    log, profile = directory / "firefox.log", directory / "profile"
    profile.mkdir()
    # It is not to look for updates, studies or captive portals while it is tested.
    (profile / "user.js").write_text(
        'user_pref("app.normandy.enabled", false);\n'
        'user_pref("network.captive-portal-service.enabled", false);\n'
        'user_pref("network.connectivity-service.enabled", false);\n'
        'user_pref("network.proxy.type", 0);\n'
        'user_pref("toolkit.telemetry.reportingpolicy.firstRun", false);\n'
    )
    program = _program("firefox-esr", "firefox-esr")
    flags = ("--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0")
    async with _running(program, *flags, log=log, HOME=str(directory)) as process:
        listening = await _printed(process, log, r"WebDriver BiDi listening on (ws://\S+)")
        async with connect(f"{listening[1]}/session", proxy=None, max_size=None, compression=None) as socket:
            browser = _Firefox(socket)
            await browser.begin()
            yield browser


@contextlib.asynccontextmanager
async def webkit(directory: Path) -> AsyncIterator[OtherBrowser]:
    """A new WebKitGTK browser on a screen that nobody sees."""
    screen_log, log, port = directory / "screen.log", directory / "webkit.log", free_port()
    program = _program("WebKitWebDriver", "webkit2gtk-driver")
    screen = (_program("Xvfb", "xvfb"), "-displayfd", "1", "-screen", "0", "1440x1000x24", "-nolisten", "tcp")
    async with _running(*screen, log=screen_log) as server:
        number = await _printed(server, screen_log, r"(?m)^(\d+)$")
        flags = ("--host=127.0.0.1", f"--port={port}")
        home = {"HOME": str(directory), "XDG_RUNTIME_DIR": str(directory), "no_proxy": "127.0.0.1"}
        async with _running(program, *flags, log=log, DISPLAY=f":{number[1]}", **home) as driver:
            browser = _WebKit(f"http://127.0.0.1:{port}")
            await eventually(lambda: _answers(driver, port), within=PATIENCE_SECONDS)
            await browser.begin()
            try:
                yield browser
            finally:
                await browser.end()


async def _answers(process: asyncio.subprocess.Process, port: int) -> bool:
    if process.returncode is not None:
        raise RuntimeError("WebKitWebDriver ended")
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False
