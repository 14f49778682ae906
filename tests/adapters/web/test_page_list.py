"""The list of conversations in a real browser."""

import pytest
from playwright.async_api import Browser, Page, expect

from core.store.api_keys import ApiKeys
from core.store.store import Store
from tests.adapters.web.browsing import connected, opened, say, until_answered
from tests.adapters.web.conftest import Serve

PHONE = 390


@pytest.fixture
async def outside(chromium: Browser, url: str) -> Page:
    """A tab on another machine."""
    context = await chromium.new_context(extra_http_headers={"X-Forwarded-For": "203.0.113.7"})
    page = await context.new_page()
    await page.goto(url)
    return page


async def enter(page: Page, key: str) -> None:
    await page.get_by_label("Key", exact=True).fill(key)
    await page.get_by_role("button", name="Open").click()


async def two(page: Page) -> None:
    """One conversation and then another one."""
    await say(page, "About rivers")
    await until_answered(page, "You said: About rivers")
    await page.get_by_role("button", name="New conversation").click()
    await connected(page)
    await expect(page.locator("#welcome")).to_be_visible()
    await say(page, "About bread")
    await until_answered(page, "You said: About bread")
    await expect(page.locator("#chats .title")).to_have_text(["About bread", "About rivers"])


async def test_conversations_are_begun_listed_and_continued(page: Page) -> None:
    await two(page)
    await page.get_by_role("link", name="About rivers").click()
    await until_answered(page, "You said: About rivers")
    await expect(page.locator("[aria-current=page]")).to_have_text("About rivers")
    await say(page, "more of them")
    await until_answered(page, "You said: more of them")
    await expect(page.locator("#chats .title")).to_have_text(["About rivers", "About bread"])
    await page.go_back()
    await until_answered(page, "You said: About bread")
    await page.reload()
    await until_answered(page, "You said: About bread")
    await expect(page.locator(".said")).to_have_count(1)


async def test_conversation_is_found_by_what_was_said_in_it(page: Page) -> None:
    await two(page)
    await page.get_by_label("Search").fill("said bread")
    await expect(page.locator("#chats li")).to_have_count(1)
    await expect(page.locator("#chats .excerpt")).to_contain_text("You said: About bread")
    await page.get_by_label("Search").fill("nothing like it")
    await expect(page.get_by_text("Nothing was found.")).to_be_visible()
    await page.get_by_label("Search").fill("")
    await expect(page.locator("#chats li")).to_have_count(2)


async def test_conversation_is_renamed_in_place(page: Page) -> None:
    await two(page)
    for key, title in (("Escape", "About rivers"), ("Enter", "Streams")):
        await page.get_by_role("button", name="Rename: About rivers").click()
        await page.get_by_label("New title").fill("Streams")
        await page.get_by_label("New title").press(key)
        await expect(page.locator("#chats .title")).to_have_text(["About bread", title])
    await page.reload()
    await expect(page.locator("#chats .title")).to_have_text(["About bread", "Streams"])


async def test_conversation_is_deleted_when_that_is_meant(page: Page) -> None:
    await two(page)
    await page.get_by_role("button", name="Delete: About bread").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(page.locator("#chats li")).to_have_count(2)
    await page.get_by_role("button", name="Delete: About bread").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.locator("#chats .title")).to_have_text(["About rivers"])
    await expect(page.locator(".exchange")).to_have_count(0)


async def test_list_follows_what_another_tab_does(page: Page, url: str) -> None:
    await two(page)
    other = await page.context.new_page()
    await other.goto(url)
    await connected(other)
    await expect(other.locator("[aria-current=page]")).to_have_text("About bread")
    await page.get_by_role("button", name="New conversation").click()
    await connected(page)
    await say(page, "About clouds")
    await expect(other.locator("#chats .title")).to_have_text(["About clouds", "About bread", "About rivers"])
    fresh = other.get_by_role("link", name="About clouds New answer")
    await expect(fresh).to_be_visible()
    await expect(page.get_by_text("New answer")).to_have_count(0)
    await page.get_by_role("button", name="Rename: About clouds").click()
    await page.get_by_label("New title").fill("Weather")
    await page.get_by_label("New title").press("Enter")
    await other.get_by_role("link", name="Weather New answer").click()
    await until_answered(other, "You said: About clouds")
    await expect(other.get_by_text("New answer")).to_have_count(0)
    await page.get_by_role("button", name="Delete: Weather").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(other.locator("#chats .title")).to_have_text(["About bread", "About rivers"])
    await expect(other.locator(".exchange")).to_have_count(0)
    await expect(other.locator("#welcome")).to_be_visible()


async def test_title_with_script_in_it_is_only_text(serving: Serve, chromium: Browser) -> None:
    attack = "<img src=x onerror=document.title=1><script>document.title=2</script>"
    async with serving(title="Untouched") as url:
        page = await opened(chromium, url)
        await say(page, attack)
        await expect(page.locator("#chats .title")).to_have_text(attack[:60] + "…")
        await page.get_by_label("Search").fill("onerror script")
        await expect(page.locator("#chats li")).to_have_count(1)
        await expect(page.locator("#chats :is(img, script)")).to_have_count(0)
        await expect(page).to_have_title("Untouched")


async def test_list_opens_over_the_page_on_a_phone(chromium: Browser, url: str) -> None:
    page = await opened(chromium, url, width=PHONE)
    await say(page, "hello")
    await until_answered(page, "You said: hello")
    entry, menu = page.get_by_role("link", name="hello"), page.get_by_role("button", name="Conversations")
    await expect(entry).to_be_hidden()
    await menu.click()
    await expect(entry).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(entry).to_be_hidden()
    await expect(menu).to_be_focused()
    await menu.click()
    await page.get_by_role("button", name="New conversation").click()
    await expect(entry).to_be_hidden()
    await expect(page.locator(".exchange")).to_have_count(0)
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE


async def test_page_from_elsewhere_asks_for_a_key(outside: Page, store: Store) -> None:
    secret, _ = await ApiKeys(store.client).add("ann")
    await enter(outside, "tri-wrong")
    await expect(outside.get_by_role("dialog")).to_contain_text("not known")
    await enter(outside, secret)
    await connected(outside)
    await say(outside, "hello")
    await until_answered(outside, "You said: hello")


async def test_page_whose_key_has_ended_shows_nothing_and_takes_another_one(outside: Page, store: Store) -> None:
    keys = ApiKeys(store.client)
    for name in ("ann", "bob"):
        secret, key = await keys.add(name)
        await enter(outside, secret)
        await connected(outside)
        await expect(outside.locator(".exchange")).to_have_count(0)
        await say(outside, "a secret")
        await until_answered(outside, "You said: a secret")
        await keys.revoke(key.id)
        await expect(outside.get_by_role("dialog")).to_be_visible()
        await expect(outside.locator(".exchange, #chats li")).to_have_count(0)
