"""What is under answers, files and reconnecting, in a real browser."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect

from adapters.web.adapter import WebAdapter
from adapters.web.settings import WebSettings
from bots.app import Plan
from bots.app import running as run_plan
from core.dialogue import DialogueSettings
from core.engine.scripted import ScriptedEngine
from core.files.reader import FileSettings
from core.store.api_keys import ApiKeys
from core.store.store import Store
from tests.adapters.web.browsing import opened, say, until_answered
from tests.adapters.web.conftest import Serve
from tests.adapters.web.tab import Tab, open_tab
from tests.contracts.attentive import Attentive
from tests.contracts.test_actions import Busy, Counting
from tests.core.store.servers import free_port
from tests.running import QUICK, running

SLOW = 0.05


async def press(page: Page, name: str) -> None:
    await page.locator(".foot").last.get_by_role("button", name=name).click()


async def test_answer_is_made_anew_and_looked_through(serving: Serve, chromium: Browser) -> None:
    async with serving(engine=Counting()) as url:
        page = await opened(chromium, url)
        await say(page, "hello")
        await until_answered(page, "You said: hello (1)")
        await press(page, "Regenerate")
        await until_answered(page, "You said: hello (2)")
        await expect(page.locator(".foot")).to_contain_text("2/2")
        await press(page, "The answer before")
        await until_answered(page, "You said: hello (1)")
        await expect(page.get_by_role("button", name="The answer before")).to_be_focused()
        await press(page, "The next answer")
        await until_answered(page, "You said: hello (2)")
        await expect(page.locator(".exchange")).to_have_count(1)


async def test_only_the_newest_answer_can_be_changed_and_all_be_voted_on(page: Page) -> None:
    for text in ("one", "two"):
        await say(page, text)
        await until_answered(page, f"You said: {text}")
    await expect(page.get_by_role("button", name="Regenerate")).to_have_count(1)
    vote = page.locator(".exchange").first.get_by_role("button", name="Bad answer")
    await vote.click()
    await expect(vote).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_role("alert")).to_contain_text("noted")
    await page.reload()
    await expect(vote).to_have_attribute("aria-pressed", "true")


async def test_stopped_answer_is_gone_on_with(serving: Serve, chromium: Browser) -> None:
    engine = ScriptedEngine(delay=SLOW)
    async with serving(engine=engine) as url:
        page = await opened(chromium, url)
        await say(page, "word " * 200)
        await expect(page.locator(".writing")).to_contain_text("word")
        await page.keyboard.press("Escape")
        await expect(page.locator(".answer")).to_contain_text("Stopped.")
        engine.delay = 0.0
        await press(page, "Continue")
        await until_answered(page, f"You said: {'word ' * 200}".strip())


async def test_last_message_is_changed_and_answered_in_place(page: Page) -> None:
    box = page.get_by_label("Message", exact=True)
    await say(page, "helo")
    await until_answered(page, "You said: helo")
    await page.get_by_role("button", name="Edit").click()
    await expect(box).to_have_value("helo")
    await expect(box).to_be_focused()
    await box.press("Escape")
    await expect(box).to_have_value("")
    await page.get_by_role("button", name="Edit").click()
    await box.fill("hello")
    await box.press("Enter")
    await until_answered(page, "You said: hello")
    await expect(page.locator(".said")).to_have_text("hello")
    await expect(page.locator(".foot")).to_contain_text("2/2")


async def test_conversation_goes_on_from_an_earlier_message_that_is_changed(page: Page, url: str) -> None:
    box, edit = page.get_by_label("Message", exact=True), page.get_by_role("button", name="Edit")
    for text in ("one", "two", "three"):
        await say(page, text)
        await until_answered(page, f"You said: {text}")
    other = await page.context.new_page()
    await other.goto(url)
    await until_answered(other, "You said: three")
    await edit.first.focus()
    await page.keyboard.press("Enter")
    await expect(box).to_have_value("one")
    await expect(box).to_be_focused()
    await expect(page.get_by_role("alert")).to_contain_text("leaves behind what came after it")
    await box.fill("uno")
    await box.press("Enter")
    for tab in (page, other):
        await until_answered(tab, "You said: uno")
        await expect(tab.locator(".said")).to_have_text(["uno"])
        await expect(tab.locator(".foot")).to_contain_text("2/2")
    await press(page, "The answer before")
    await until_answered(page, "You said: one")
    await press(page, "The next answer")
    await until_answered(page, "You said: uno")
    await say(page, "dos")
    await until_answered(page, "You said: dos")
    await page.reload()
    await until_answered(page, "You said: dos")
    await expect(page.locator(".said")).to_have_text(["uno", "dos"])


async def test_answer_under_way_ends_when_the_conversation_goes_on_from_an_earlier_message(
    serving: Serve, chromium: Browser
) -> None:
    async with serving(engine=ScriptedEngine(delay=SLOW)) as url:
        page = await opened(chromium, url)
        await say(page, "one")
        await until_answered(page, "You said: one")
        await say(page, "word " * 2000)
        await expect(page.locator(".writing")).to_contain_text("word")
        await page.get_by_role("button", name="Edit").first.click()
        await say(page, "uno")
        await until_answered(page, "You said: uno")
        await expect(page.locator(".said")).to_have_text(["uno"])


async def test_earlier_message_that_is_not_changed_after_all_leaves_everything(page: Page) -> None:
    for text in ("one", "two"):
        await say(page, text)
        await until_answered(page, f"You said: {text}")
    for key in ("Escape", "Enter"):
        await page.get_by_role("button", name="Edit").first.click()
        await page.get_by_label("Message", exact=True).press(key)
        await expect(page.get_by_label("Message", exact=True)).to_have_value("")
        await expect(page.locator(".said:visible")).to_have_text(["one", "two"])
        await expect(page.locator(".writing")).to_have_count(0)
    await say(page, "three")
    await until_answered(page, "You said: three")


async def test_persona_and_sampling_are_set_beside_the_conversation(serving: Serve, chromium: Browser) -> None:
    async with serving(engine=Counting()) as url:
        page = await opened(chromium, url)
        opener = page.get_by_role("button", name="Persona and sampling")
        await page.get_by_label("Message", exact=True).fill("half a thou")
        await opener.click()
        await page.get_by_label("Who I am to be").fill("a pirate")
        await page.get_by_label("Temperature").fill("1.5")
        await page.get_by_label("Top p").fill("7")
        await page.get_by_role("button", name="Save").click()
        await until_answered(page, "From now on I follow this persona here, for everyone in this place.")
        await expect(page.get_by_label("Message", exact=True)).to_have_value("half a thou")
        await page.reload()
        await opener.click()
        await expect(page.get_by_label("Who I am to be")).to_have_value("a pirate")
        await expect(page.get_by_label("Temperature")).to_have_value("1.5")
        await expect(page.get_by_label("Top p")).to_have_value("")
        await page.keyboard.press("Escape")
        await expect(opener).to_be_focused()
        await say(page, "ahoy")
        await until_answered(page, "You said: ahoy (1)")


async def test_code_is_highlighted_and_copied(chromium: Browser, url: str) -> None:
    page = await opened(chromium, url, permissions=["clipboard-read", "clipboard-write"])
    await say(page, "x\n\n```python\nprint('x < y')\n```")
    keyword = page.locator(".code .nb")
    await expect(keyword).to_have_text("print")
    plain = await page.locator(".code code").evaluate("code => getComputedStyle(code).color")
    assert await keyword.evaluate("one => getComputedStyle(one).color") != plain
    await page.get_by_role("button", name="Copy this code").click()
    await expect(page.get_by_role("button", name="Copy this code")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == "print('x < y')\n"


@asynccontextmanager
async def with_files(store: Store, tmp_path: Path, engine: ScriptedEngine) -> AsyncIterator[str]:
    settings = WebSettings(title="Untouched", uploads=tmp_path / "uploads", max_file=10_000)
    adapter = WebAdapter(settings, store.library, ApiKeys(store.client))
    files = FileSettings(folder=tmp_path / "files")
    async with running(adapter, store=store, engine=engine, files=files, address=("127.0.0.1", 0)) as bot:
        assert bot.url is not None
        yield bot.url


async def test_file_is_sent_with_a_message(store: Store, chromium: Browser, tmp_path: Path) -> None:
    name, engine = "<img src=x onerror=document.title=1>.txt", Attentive()
    async with with_files(store, tmp_path, engine) as url:
        page = await opened(chromium, url)
        file = {"name": name, "mimeType": "text/plain", "buffer": b"buy milk"}
        await page.locator("#picker").set_input_files(file)  # type: ignore[arg-type]
        await expect(page.locator("#files .name")).to_have_text(name)
        await say(page, "what is it?")
        await until_answered(page, "You said: what is it?")
        await expect(page.locator("#files")).to_be_hidden()
        await page.reload()
        await expect(page.locator(".said .file")).to_contain_text("onerror")
        await expect(page.locator("img")).to_have_count(0)
        await expect(page).to_have_title("Untouched")
    assert "buy milk" in engine.asked[0]


async def test_message_waits_for_its_file(store: Store, chromium: Browser, tmp_path: Path) -> None:
    arrives, engine = asyncio.Event(), Attentive()

    async def slowly(route: Route) -> None:
        await arrives.wait()
        await route.continue_()

    async with with_files(store, tmp_path, engine) as url:
        page = await opened(chromium, url)
        await page.route("**/files/*", slowly)
        file = {"name": "list.txt", "mimeType": "text/plain", "buffer": b"buy milk"}
        await page.locator("#picker").set_input_files(file)  # type: ignore[arg-type]
        await say(page, "what is it?")
        await expect(page.locator(".said")).to_have_count(0)
        arrives.set()
        await until_answered(page, "You said: what is it?")
    assert "buy milk" in engine.asked[0]


async def test_dropped_file_that_is_too_large_is_told_so(store: Store, chromium: Browser, tmp_path: Path) -> None:
    drop = """size => {
        const transfer = new DataTransfer();
        transfer.items.add(new File(["x".repeat(size)], "big.txt"));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
    }"""
    async with with_files(store, tmp_path, ScriptedEngine()) as url:
        page = await opened(chromium, url)
        await page.evaluate(drop, 10_001)
        await expect(page.get_by_role("alert")).to_have_text("big.txt is larger than 0.01 MB.")
        await page.evaluate(drop, 10_000)
        await expect(page.locator("#files li")).to_have_count(1)
        await page.get_by_role("button", name="Remove big.txt").click()
        await expect(page.locator("#files")).to_be_hidden()


async def test_who_waits_for_the_model_sees_the_place_in_line(serving: Serve, chromium: Browser) -> None:
    engine = Busy()
    async with serving(engine=engine) as url:
        page = await opened(chromium, url)
        await say(page, "hello")
        await expect(page.locator(".line")).to_have_text("You are number 3 in line: about 10 seconds.")
        engine.place = 1
        await expect(page.locator(".line")).to_have_text("You are number 1 in line: about 10 seconds.")
        engine.free.set()
        await until_answered(page, "You said: hello")
        await expect(page.locator(".line")).to_have_count(0)
        engine.free.clear()
        await press(page, "Regenerate")
        await expect(page.locator(".line")).to_contain_text("number 1")
        await page.keyboard.press("Escape")
        await expect(page.locator(".line")).to_have_count(0)


@asynccontextmanager
async def page_alone(store: Store, port: int) -> AsyncIterator[None]:
    """A process that only listens."""
    adapter = WebAdapter(WebSettings(), store.library, ApiKeys(store.client))
    plan = Plan(engine=None, adapters=[adapter], address=("127.0.0.1", port))
    async with run_plan(store, plan, lambda _line: None) as bot:
        await bot.listening.wait()
        yield


async def test_page_comes_back_to_a_reply_that_is_still_being_written(store: Store, chromium: Browser) -> None:
    port, words = free_port(), " ".join(f"word{number}" for number in range(120))
    adapter = WebAdapter(WebSettings(), store.library, ApiKeys(store.client))
    worker = Plan(
        engine=ScriptedEngine(delay=SLOW),
        adapters=[adapter],
        listen=False,
        worker=QUICK,
        dialogue=DialogueSettings(window=1_000_000),
    )
    async with run_plan(store, worker, lambda _line: None):
        async with page_alone(store, port):
            page = await opened(chromium, f"http://127.0.0.1:{port}")
            await say(page, words)
            await expect(page.locator(".writing")).to_contain_text("word2")
        await expect(page.locator("#connection")).to_have_attribute("data-state", "away")
        async with page_alone(store, port):
            await expect(page.locator("#connection")).to_have_attribute("data-state", "connected")
            await expect(page.locator(".writing")).to_contain_text("word")  # in the middle of it
            await until_answered(page, f"You said: {words}")
            await expect(page.locator(".said")).to_have_count(1)


@asynccontextmanager
async def another_tab(serving: Serve, page: Page) -> AsyncIterator[Tab]:
    """One of the same browser that has a connection, while `page` has none."""
    [cookie] = await page.context.cookies()
    await expect(page.locator("#connection")).to_have_attribute("data-state", "away")
    async with serving(engine=Counting()) as url, open_tab(url, f"{cookie['name']}={cookie['value']}") as tab:
        yield tab


@pytest.mark.parametrize(("text", "left"), [("uno", ["uno", "/help"]), ("", ["one", "two", "/help"])])
async def test_page_that_was_away_shows_what_is_left_of_the_conversation(
    serving: Serve, chromium: Browser, text: str, left: Sequence[str]
) -> None:
    """The first message is changed in another tab, or the last one taken back."""
    port = free_port()
    async with serving(port=port) as url:
        page = await opened(chromium, url)
        for said in ("one", "two", "/help", "three"):
            await say(page, said)
            await expect(page.locator(".reply:not([aria-busy=false])")).to_have_count(0)
        await until_answered(page, "You said: three")
        first = await page.locator(".exchange").first.get_attribute("data-key")
    async with another_tab(serving, page) as tab:
        await (tab.edit(first or "", text) if text else tab.say("/undo"))
        await tab.until(lambda: any(frame.get("only") for frame in tab.frames))
    async with serving(port=port):
        await expect(page.locator(".said")).to_have_text(left)
        await say(page, "and on")
        await until_answered(page, "You said: and on")


async def test_page_that_was_away_shows_the_answer_that_was_made_anew(serving: Serve, chromium: Browser) -> None:
    port = free_port()
    async with serving(port=port) as url:
        page = await opened(chromium, url)
        await say(page, "hello")
        await until_answered(page, "You said: hello")
    async with another_tab(serving, page) as tab:
        [key] = tab.replies
        await tab.act(key, "regenerate")
        await tab.until_answered("You said: hello (1)")
    async with serving(port=port):
        await until_answered(page, "You said: hello (1)")
        await expect(page.locator(".foot")).to_contain_text("2/2")
