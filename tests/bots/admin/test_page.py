"""The operator's page in a real browser."""

import re
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from bots.bot import Bot
from core.engine.scripted import ScriptedEngine
from core.store.api_keys import ApiKeys
from core.store.store import Store
from core.turns import Conversation
from tests.adapters.web.test_page_look import violations
from tests.bots.admin.conftest import OFTEN
from tests.bots.instruments.room import HERE, ROOM, RoomAdapter
from tests.core.store.servers import free_port
from tests.running import running

LONG = "word " * 200
SCRIPT = "<img src=x onerror='window.ran = 1'><script>window.ran = 1</script>"

pytestmark = pytest.mark.slow


@pytest.fixture
async def page(bot: Bot, chromium: Browser) -> AsyncIterator[Page]:
    """Nothing that it does may break the page's own policy, or fail unseen."""
    opened = await chromium.new_page()
    trouble: list[str] = []
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on(
        "console",
        lambda line: trouble.append(line.text) if "Content Security" in line.text else None,
    )
    await opened.goto(f"{bot.url}/admin")
    yield opened
    await opened.close()
    assert trouble == []


async def test_turn_under_way_is_seen_with_charts(page: Page, room: RoomAdapter) -> None:
    room.say(LONG)
    row = page.locator("#rooms tr")
    await expect(row).to_contain_text("room/bot/here")
    await expect(row).to_contain_text("writing")
    await expect(page.locator("#now")).to_contain_text(re.compile(r"Turns running\s*1"))
    turns = page.get_by_role("img", name="Turns, the last hour")
    await expect(turns).to_have_attribute("aria-label", re.compile("running 1"))
    await expect(page.get_by_role("status")).to_have_text("Connected; processes: 1.")


async def test_script_in_a_rooms_name_is_shown_and_does_not_run(page: Page, room: RoomAdapter) -> None:
    room.say(LONG, Conversation.of(ROOM, SCRIPT))
    await expect(page.locator("#rooms td").first).to_have_text(f"room/bot/{SCRIPT}")
    assert await page.evaluate("window.ran") is None


async def test_platform_is_paused_and_goes_on_by_keyboard(page: Page, store: Store, room: RoomAdapter) -> None:
    pause = page.get_by_role("button", name="Pause room")
    await pause.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#platforms tr")).to_contain_text("paused; listening")
    await expect(page.get_by_role("status")).to_have_text("room is paused: what people write there waits.")
    resume = page.get_by_role("button", name="Resume room")
    await expect(resume).to_be_focused()  # though the table was drawn anew meanwhile
    await page.keyboard.press("Enter")
    await expect(page.locator("#platforms td").nth(1)).to_have_text("listening")
    room.say("hello")
    await room.answered.get()


async def test_worker_is_drained_only_after_a_question(page: Page) -> None:
    drain = page.get_by_role("button", name=re.compile("^Drain process"))
    await drain.click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(page.locator("#processes tr")).not_to_contain_text("takes no work")
    await drain.click()
    await page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    await expect(page.locator("#processes tr")).to_contain_text("takes no work")
    await page.get_by_role("button", name=re.compile("take work$")).click()
    await expect(page.locator("#processes tr")).not_to_contain_text("takes no work")


async def test_person_is_forgotten_only_after_a_question(page: Page, store: Store, room: RoomAdapter) -> None:
    room.say("hello")
    await room.answered.get()
    await page.get_by_label("Platform and id").fill("room/ann")
    for answer in ("Cancel", "Forget"):
        assert await store.memory.turns(HERE, 10) != []
        await page.get_by_role("button", name="Forget…").click()
        dialog = page.get_by_role("dialog", name="Forget room/ann for good?")
        await dialog.get_by_role("button", name=answer).click()
    await expect(page.get_by_role("status")).to_have_text("Forgotten, in 1 conversation.")
    assert await store.memory.turns(HERE, 10) == []


async def test_page_asks_for_a_key_once_there_is_one(page: Page, store: Store) -> None:
    await expect(page.locator("#board")).to_be_visible()
    secret, _ = await ApiKeys(store.client).add("ann", scope="admin")
    await expect(page.get_by_label("Key")).to_be_focused()
    await expect(page.locator("#board")).to_be_hidden()
    await page.get_by_label("Key").fill("tri-wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("This key is not known, or was revoked.")
    await page.get_by_label("Key").fill(secret)
    await page.keyboard.press("Enter")
    await expect(page.locator("#board")).to_be_visible()
    await page.reload()
    await expect(page.locator("#board")).to_be_visible()
    assert await page.context.cookies() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
async def test_page_breaks_no_rule_of_accessibility(
    page: Page, room: RoomAdapter, store: Store, scheme: Literal["light", "dark"], width: int
) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 800})
    room.say(LONG)
    await expect(page.locator("#rooms tr")).to_contain_text("writing")
    assert await violations(page) == []
    await page.get_by_role("button", name=re.compile("^Drain process")).click()
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await ApiKeys(store.client).add("ann", scope="admin")
    await expect(page.get_by_label("Key")).to_be_focused()
    assert await violations(page) == []


async def test_page_finds_the_server_again(store: Store, chromium: Browser) -> None:
    port = free_port()
    address = ("127.0.0.1", port)
    page = await chromium.new_page()
    async with running(store=store, engine=ScriptedEngine(), address=address, show_every=OFTEN):
        await page.goto(f"http://127.0.0.1:{port}/admin")
        await expect(page.get_by_role("status")).to_have_text("Connected; processes: 1.")
    await expect(page.get_by_role("status")).to_contain_text("Trying again…")
    async with running(store=store, engine=ScriptedEngine(), address=address, show_every=OFTEN):
        await expect(page.get_by_role("status")).to_have_text("Connected; processes: 1.", timeout=30_000)


async def test_page_is_light_or_dark_as_the_operator_has_it(page: Page) -> None:
    async def ground() -> str:
        return str(await page.evaluate("getComputedStyle(document.body).backgroundColor"))

    await page.emulate_media(color_scheme="light")
    light = await ground()
    await page.emulate_media(color_scheme="dark")
    assert await ground() != light
