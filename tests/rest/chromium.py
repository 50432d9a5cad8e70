"""A real browser, where one is installed: Debian's `chromium`, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Pages of made-up sites may reach this machine, or the browser itself would be all that keeps them away.
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser, with a profile of its own that is gone afterwards. Skips the test where none is installed."""
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        pytest.skip("no browser is installed; on Debian: apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, chromium_sandbox=False, args=list(_QUIET)
        )
        try:
            yield browser
        finally:
            await browser.close()
