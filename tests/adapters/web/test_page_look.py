"""How the page looks and reads to everyone, in a real browser: accessibility, keys, languages, colours."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.adapters.web.browsing import opened, say, until_answered
from tests.adapters.web.conftest import Serve
from tests.contracts.test_actions import Busy
from tests.installed import from_npm

PHONE = 390
ALL_OF_IT = "All of it:\n\n```python\n# a note\nprint(1)\n```\n\n| a | b |\n| - | -: |\n| 1 | 2 |\n\n> said\n\n[x](https://e.org)"


async def violations(page: Page) -> list[str]:
    """What axe-core has against the page as it stands."""
    await page.evaluate(from_npm("axe-core/axe.min.js"))
    found: dict[str, Any] = await page.evaluate("axe.run()")
    return [
        f"{rule['id']}: {node['html']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, PHONE])
async def test_page_breaks_no_rule_of_accessibility(
    serving: Serve, chromium: Browser, scheme: str, width: int
) -> None:
    async with serving(model="echo") as url:
        page = await opened(chromium, url, width=width, color_scheme=scheme, reduced_motion="reduce")
        assert await violations(page) == []
        await say(page, ALL_OF_IT)
        await expect(page.locator(".foot")).to_be_visible()
        assert await violations(page) == []
        await page.get_by_role("button", name="Edit").click()
        await page.get_by_role("button", name="Persona and sampling").click()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        if width == PHONE:
            await page.get_by_role("button", name="Conversations").click()
        await page.get_by_role("button", name="Rename").click()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Delete").click()
        assert await violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_what_other_tabs_are_told_breaks_no_rule_either(
    serving: Serve, chromium: Browser, scheme: str
) -> None:
    engine = Busy()
    async with serving(engine=engine) as url:
        page = await opened(chromium, url, color_scheme=scheme, reduced_motion="reduce")
        await say(page, "hello")
        await expect(page.locator(".line")).to_be_visible()
        assert await violations(page) == []
        await page.get_by_role("button", name="New conversation").click()
        await expect(page.locator(".exchange")).to_have_count(0)
        engine.free.set()
        await expect(page.get_by_text("New answer")).to_be_visible()
        assert await violations(page) == []


async def test_everything_is_reached_by_keys_in_the_order_in_which_it_stands(page: Page) -> None:
    await say(page, "hello")
    await until_answered(page, "You said: hello")
    await expect(page.locator("#chats li")).to_have_count(1)
    named = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    await page.get_by_text("Skip to the message box").focus()
    names = [await page.evaluate(named)]
    for _ in range(11):
        await page.keyboard.press("Tab")
        names.append(await page.evaluate(named))
    assert names == [
        "Skip to the message box",
        "New conversation",
        "Search",
        "hello",
        "Rename: hello",
        "Delete: hello",
        "Persona and sampling",
        "Edit",
        "Regenerate",
        "Good answer",
        "Bad answer",
        "Message",
    ]


@pytest.mark.parametrize(
    ("locale", "language", "label"),
    [("zh-CN", "zh", "消息"), ("de-AT", "de", "Nachricht"), ("fr", "en", "Message")],
)
async def test_page_is_in_the_language_of_the_browser(
    chromium: Browser, url: str, locale: str, language: str, label: str
) -> None:
    page = await opened(chromium, url, locale=locale)
    assert await page.locator("html").get_attribute("lang") == language
    box = page.get_by_label(label, exact=True)
    await box.fill("/help")
    await box.press("Enter")
    await expect(page.locator(".reply:not(.writing) .answer")).to_contain_text("/reset")
    assert await page.get_by_text("{").count() == 0


async def test_dark_is_dark(chromium: Browser, url: str) -> None:
    seen = []
    for scheme in ("light", "dark"):
        page = await opened(chromium, url, color_scheme=scheme)
        seen.append(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert seen == ["rgb(250, 249, 247)", "rgb(23, 24, 28)"]
