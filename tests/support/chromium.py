"""A real browser for tests: Debian's Chromium without a window, driven by Playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator

from playwright.async_api import Browser, async_playwright

__all__ = ["chromium_browser", "chromium_path"]

ARGUMENTS = (
    "--no-sandbox",  # it refuses to start for root with its sandbox; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",  # the pages are on this machine, whatever the environment says about proxies
)


def chromium_path() -> str:
    """Where Chromium is. Fails the test that needs it where there is none: what is not run is not proven."""
    found = os.environ.get("RELAY_TEST_CHROMIUM") or shutil.which("chromium")
    if not found or not os.access(found, os.X_OK):
        raise AssertionError(
            f"there is no Chromium at {found or 'any place of PATH'}; "
            "apt-get install chromium, or set RELAY_TEST_CHROMIUM to its path"
        )
    return found


@contextlib.asynccontextmanager
async def chromium_browser() -> AsyncIterator[Browser]:
    """A running Chromium, ended at the end."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()
