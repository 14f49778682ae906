"""Takes README's pictures from real runs: `.venv/bin/python -m examples.pictures` writes them to its folder.

One bot with the bundled model is asked on the loopback Discord, Telegram and Slack of the tests, in all three at
once, and then on its page. `rooms.png` shows what stood in each room while the reply was being written, and when;
`page.png` is the page in a browser, and `admin.png` the operator's page after some minutes in which the rooms were
asked again and again. Sampling is greedy, so that the texts are the same each time; the times are
the machine's. Needs the project's test dependencies and a Chromium.
"""

import asyncio
import itertools
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import telegram  # noqa: TID251 - it knows how Telegram draws entities
from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt
from markupsafe import Markup
from playwright.async_api import Browser, async_playwright, expect

from adapters import Adapter, Wired
from adapters.web.adapter import WebAdapter
from adapters.web.settings import WebSettings
from core.dialogue import DialogueSettings
from core.engine.engine import Params
from core.engine.loading import load
from core.engine.local import LocalEngine, LocalSettings
from core.store.api_keys import ApiKeys
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from core.turns import Event, Inbox, Reply
from tests.contracts.discord_rig import DiscordRig
from tests.contracts.slack_rig import SlackRig
from tests.contracts.telegram_rig import TelegramRig
from tests.running import running

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"

ON_THE_PAGE = (
    ("Why is the sky blue?",),
    (
        "Give me three tips for sleeping well. Put the key words in bold.",
        "Write a Python function that says if a number is even.",
    ),
)
TO_THE_OPERATOR = ("Why is the sky blue?", "And the sea?", "Tell me a story about a lighthouse.")
MINUTES_OF_TALK = 3
IN_THE_ROOMS = "Write a Python function that says if a number is even."
REPEATABLE = DialogueSettings(params=Params(temperature=0.0, repetition_penalty=1.1, max_tokens=200))

PATIENCE = 600.0  # seconds for one answer, on the slowest of machines
LOOK_EVERY = 0.02
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Watched:
    """An adapter of which can be told when it has brought a reply to its end."""

    def __init__(self, adapter: Adapter) -> None:
        assert isinstance(adapter, Wired)
        self.platform = adapter.platform
        self.wire = adapter.wire
        self.delivered = asyncio.Event()
        self._adapter = adapter
        self._open = AsyncExitStack()

    async def __aenter__(self) -> None:
        if isinstance(self._adapter, AbstractAsyncContextManager):
            await self._open.enter_async_context(self._adapter)

    async def __aexit__(self, *exc: object) -> None:
        await self._open.aclose()

    async def listen(self, inbox: Inbox) -> None:
        await self._adapter.listen(inbox)

    async def deliver(self, event: Event, reply: Reply) -> None:
        await self._adapter.deliver(event, reply)
        self.delivered.set()


@dataclass(frozen=True, slots=True)
class Frame:
    """How the bot's message in a room looked, `after` so many seconds from the question."""

    after: float
    drawn: Markup


@dataclass(frozen=True, slots=True)
class Window:
    """One platform. `mention` is what `ask` puts before the question, as people see it. `standing` are the bot's
    messages in the room, and `draw` makes HTML of one."""

    platform: str
    place: str
    mention: str
    adapter: Watched
    ask: Callable[[str], Awaitable[str]]
    standing: Callable[[], list[Any]]
    draw: Callable[[Any], Markup]

    async def film(self, question: str) -> list[Frame]:
        """Ask, and watch until the reply has been delivered. The first frame, the one nearest half, the last."""
        seen: list[tuple[float, Any]] = []

        def look() -> None:
            for message in self.standing()[:1]:
                if not seen or seen[-1][1] != message:
                    seen.append((time.monotonic() - asked, copy(message)))

        await self.ask(question)
        asked = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while not self.adapter.delivered.is_set():
                look()
                await asyncio.sleep(LOOK_EVERY)
        look()
        frames = [Frame(after, self.draw(message)) for after, message in seen]
        half = len(frames[-1].drawn.striptags()) / 2
        middle = min(frames, key=lambda frame: abs(len(frame.drawn.striptags()) - half))
        return list(dict.fromkeys((frames[0], middle, frames[-1])))


def drawn_markdown(message: str) -> Markup:
    """Discord's and Slack's messages are Markdown in which a newline is one."""
    markdown = MarkdownIt("commonmark", {"breaks": True, "html": False})
    return Markup(markdown.render(message))  # noqa: S704 - escaped by markdown-it


def drawn_entities(message: dict[str, Any]) -> Markup:
    """Telegram's messages are a text with entities over it."""
    lines = telegram.Message.de_json(message).text_html
    lines = re.sub(r"(?<=</pre>)\n+|\n+(?=<pre>)", "", lines)
    return Markup(f'<div class="lines">{lines}</div>')  # noqa: S704 - escaped by the SDK


@asynccontextmanager
async def windows(store: Store) -> AsyncIterator[list[Window]]:
    """The three platforms, on loopback."""
    async with DiscordRig(store) as discord, TelegramRig(store) as telegrams, SlackRig(store) as slack:
        yield [
            Window(
                *("Discord", "#general", "@Trialogue"),
                *(Watched(discord.adapter), discord.addressed),
                *(lambda: discord.fake.shown("general"), drawn_markdown),
            ),
            Window(
                *("Telegram", "private chat", ""),
                *(Watched(telegrams.adapter), telegrams.direct),
                *(lambda: telegrams.fake.posted("ann"), drawn_entities),
            ),
            Window(
                *("Slack", "thread in #general", "@Trialogue"),
                *(Watched(slack.adapter), slack.addressed),
                *(lambda: slack.fake.shown("general"), drawn_markdown),
            ),
        ]


async def take_rooms(rooms: list[Window], browser: Browser) -> None:
    """Ask in all rooms at once, and draw what was seen."""
    films = await asyncio.gather(*(room.film(IN_THE_ROOMS) for room in rooms))
    template = Environment(loader=FileSystemLoader(HERE), autoescape=True).get_template("rooms.html")
    page = await browser.new_page(viewport={"width": 1200, "height": 400}, device_scale_factor=2)
    await page.set_content(template.render(question=IN_THE_ROOMS, rooms=[*zip(rooms, films, strict=True)]))
    await page.screenshot(path=PICTURES / "rooms.png", full_page=True)


async def take_page(url: str, browser: Browser) -> None:
    """Talk on the page, and take it as it looks then."""
    page = await browser.new_page(viewport={"width": 1200, "height": 820}, device_scale_factor=2)
    await page.goto(url)
    for conversation in ON_THE_PAGE:
        await page.get_by_role("button", name="New conversation").click()
        await expect(page.locator("#connection")).to_have_text("Connected", timeout=PATIENCE * 1000)
        for number, question in enumerate(conversation, 1):
            await page.get_by_label("Message", exact=True).fill(question)
            await page.keyboard.press("Enter")
            answered = page.locator(".reply[aria-busy=false]")
            await expect(answered).to_have_count(number, timeout=PATIENCE * 1000)
    await expect(page.locator("#chats li")).to_have_count(len(ON_THE_PAGE))
    await page.mouse.move(0, 0)
    await page.screenshot(path=PICTURES / "page.png")


async def take_admin(url: str, rooms: list[Window], browser: Browser) -> None:
    """Keep all rooms talking, and take the operator's page in the middle of it."""
    page = await browser.new_page(viewport={"width": 1200, "height": 820}, device_scale_factor=2)
    await page.goto(f"{url}/admin")

    async def talk(room: Window) -> None:
        for question in itertools.cycle(TO_THE_OPERATOR):
            room.adapter.delivered.clear()
            await room.ask(question)
            await room.adapter.delivered.wait()

    async with asyncio.TaskGroup() as group:
        talks = [group.create_task(talk(room)) for room in rooms]
        await asyncio.sleep(MINUTES_OF_TALK * 60)
        await expect(page.locator("#rooms")).to_contain_text("writing", timeout=PATIENCE * 1000)
        await page.screenshot(path=PICTURES / "admin.png", full_page=True)
        for each in talks:
            each.cancel()
    await page.close()


async def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        loaded = await asyncio.to_thread(load, "default", models_dir=data_dir / "models", progress=lambda *_: None)
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        stack.push_async_callback(browser.close)
        store = await stack.enter_async_context(open_store(StoreSettings(data_dir=data_dir)))
        rooms = await stack.enter_async_context(windows(store))
        web = WebAdapter(WebSettings(model=loaded.name), store.library, ApiKeys(store.client))
        bot = await stack.enter_async_context(
            running(
                *(room.adapter for room in rooms),
                web,
                store=store,
                engine=LocalEngine(loaded, LocalSettings(native=data_dir / "native")),
                dialogue=REPEATABLE,
                address=("127.0.0.1", 0),
            )
        )
        while bot.url is None:  # noqa: ASYNC110 - the server is up a few steps of the loop later
            await asyncio.sleep(0)
        await take_rooms(rooms, browser)
        await take_page(bot.url, browser)
        await take_admin(bot.url, rooms, browser)


if __name__ == "__main__":
    asyncio.run(main())
