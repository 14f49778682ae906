"""What a person does in a browser's tab, for tests of the page."""

from typing import Any

from playwright.async_api import Browser, Page, expect

expect.set_options(timeout=20_000)  # of all that is waited for: whole bots and browsers share the cores


async def opened(browser: Browser, url: str, *, width: int = 1000, **profile: Any) -> Page:
    """A tab of a fresh browser profile, connected."""
    context = await browser.new_context(viewport={"width": width, "height": 800}, **profile)
    page = await context.new_page()
    await page.goto(url)
    await connected(page)
    return page


async def connected(page: Page) -> None:
    await expect(page.locator("#connection")).to_have_attribute("data-state", "connected")


async def say(page: Page, text: str) -> None:
    box = page.get_by_label("Message", exact=True)
    await box.fill(text)
    await box.press("Enter")


async def until_answered(page: Page, text: str) -> None:
    await expect(page.locator(".reply:not(.writing) .answer").last).to_have_text(text)
