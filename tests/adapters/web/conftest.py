"""A running bot with the page, and browsers that look at it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, async_playwright

from adapters.web.adapter import WebAdapter
from adapters.web.settings import WebSettings
from core.engine.engine import Engine
from core.engine.scripted import ScriptedEngine
from core.store.api_keys import ApiKeys
from core.store.store import Store
from tests.adapters.web.browsing import opened
from tests.installed import installed
from tests.running import running

Serve = Callable[..., AbstractAsyncContextManager[str]]

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def serving(store: Store) -> Serve:
    """`async with serving(engine=..., port=0, ...settings) as url`: the page of a bot on the test's store."""

    @asynccontextmanager
    async def serving(*, engine: Engine | None = None, port: int = 0, **settings: object) -> AsyncIterator[str]:
        adapter = WebAdapter(WebSettings(**settings), store.library, ApiKeys(store.client))  # type: ignore[arg-type]
        engine = engine or ScriptedEngine()
        async with running(adapter, store=store, engine=engine, address=("127.0.0.1", port)) as bot:
            while bot.url is None:  # noqa: ASYNC110 - the server is up a few steps of the loop later
                await asyncio.sleep(0)
            yield bot.url

    return serving


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium."""
    found = installed("chromium", "chromium-browser", "google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@pytest.fixture
async def url(serving: Serve) -> AsyncIterator[str]:
    """The page of a bot that says one's own words back."""
    async with serving() as url:
        yield url


@pytest.fixture
async def page(chromium: Browser, url: str) -> Page:
    """A fresh browser's tab on it, connected."""
    return await opened(chromium, url)
