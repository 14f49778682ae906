"""Bad input and bad days on every platform, over its own wire: each reply still arrives whole and once.

Nothing that is logged meanwhile, at any level, holds a token or what a person wrote.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from bots.instruments.logs import CHATTY
from core import notices
from core.dialogue import DialogueSettings
from core.engine.scripted import ScriptedEngine
from core.errors import PromptTooLong
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from tests.contracts.discord_rig import DiscordRig
from tests.contracts.slack_rig import SlackRig
from tests.contracts.telegram_rig import TelegramRig
from tests.contracts.web_rig import WebRig
from tests.core.store.servers import RedisServer
from tests.fakes.discord import FakeDiscord
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import FakeTelegram
from tests.running import running

AnyRig = DiscordRig | SlackRig | TelegramRig
GROUPS = [DiscordRig, SlackRig, TelegramRig]
ECHO = ScriptedEngine
SLOW = 0.05  # seconds a word: long enough for something to happen in the middle of a reply
PRIVATE = "zanzibar"  # in each text that a person writes here
SECRETS = (FakeTelegram().token, FakeDiscord().token, FakeSlack.bot_token, FakeSlack.app_token)

NEVER_CLOSED = (
    "**bold", "_slanted **both", "`code", "[label](https://example.org", "![image](", "~~gone", "> quote\n> ```\n",
    "| a | b |\n|---", "<b>html", "<!-- note", "1. one\n   - two\n     ```\n", "||spoiler", "a ``` b ```` ~~~",
    "\\", "&lt;", "$$x", "[" * 300, "*" * 300, "\n\n" + "> " * 60,
    "\n".join("  " * depth + "- x" for depth in range(40)),
)  # fmt: skip

Fault = Literal["none", "429", "down", "page", "cut before", "cut after"]
"""`none` lets a call pass, `down` is an answer 5xx, `page` HTML in the place of JSON; a cut comes before or after
the work was done."""


@pytest.fixture(autouse=True)
def quiet_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What an operator sees who sets `log_level = "debug"`."""
    caplog.set_level(logging.DEBUG)
    for name in CHATTY:
        caplog.set_level(logging.WARNING, name)
    yield
    told = [word for word in (PRIVATE, *SECRETS) if word in caplog.text]
    assert not told


@pytest.fixture(params=GROUPS, ids=lambda rig: rig.__name__)
async def rig(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[AnyRig]:
    async with request.param(store) as rig:
        yield rig


@pytest.fixture
def mortal_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def mortal_store(mortal_server: RedisServer, tmp_path: Path) -> AsyncIterator[Store]:
    """A store that notices soon that its server is gone, and takes over soon."""
    settings = StoreSettings(url=mortal_server.url, data_dir=tmp_path, patience=0.3)
    async with open_store(settings, lease=2.5, beat_every=0.5) as store:
        yield store


@pytest.fixture(params=[*GROUPS, WebRig], ids=lambda rig: rig.__name__)
async def mortal_rig(request: pytest.FixtureRequest, mortal_store: Store) -> AsyncIterator[AnyRig | WebRig]:
    async with request.param(mortal_store) as rig:
        yield rig


def said(text: str) -> str:
    return f"You said: {text}"


def numbered(count: int) -> str:
    return " ".join((PRIVATE, *(f"w{number}" for number in range(count))))


def whole(text: str) -> Callable[[list[str]], bool]:
    """The messages together read as `text`: each word of it once, and in order."""
    return lambda texts: " ".join(texts).split() == text.split()


def break_calls(rig: AnyRig, call: Literal["send", "edit"], *faults: Fault) -> None:
    """The next calls that send or edit a message go wrong, one for each fault."""
    fake: Any = rig.fake
    names: dict[str, str | None] = {"none": None, "down": "500", "page": "html"}
    where: tuple[str, ...]
    match rig:
        case DiscordRig():
            where = ("POST", "/messages") if call == "send" else ("PATCH", "/messages/{message_id}")
            names["down"] = "503"
        case SlackRig():
            where = ("chat.postMessage",) if call == "send" else ("chat.update",)
            names["none"] = ""
        case _:
            where = ("sendMessage",) if call == "send" else ("editMessageText",)
    fake.fail(*where, *(names.get(fault, fault) for fault in faults))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing can be awaited
            await asyncio.sleep(0.01)


def warned(caplog: pytest.LogCaptureFixture, name: str) -> bool:
    return any(one.levelno >= logging.WARNING and one.name.startswith(name) for one in caplog.records)


async def test_hundred_thousand_characters_come_back_whole_and_in_order(rig: AnyRig, store: Store) -> None:
    text = numbered(15_000)[:100_000]
    async with running(rig.adapter, store=store, engine=ECHO()):
        await rig.direct(text)
        texts = await rig.until_replies(whole(said(text)), person="ann")
    assert all(len(text) <= rig.limit for text in texts)


async def test_unclosed_fence_longer_than_a_message_is_code_in_each_of_them(rig: AnyRig, store: Store) -> None:
    lines = [f"line_{number} = '{PRIVATE}'" for number in range(2 * rig.limit // 26)]
    text = "look:\n```python\n" + "\n".join(lines)

    def code(texts: list[str]) -> list[str]:
        return re.findall(r"^line_.*$", "\n".join(texts), re.MULTILINE)

    async with running(rig.adapter, store=store, engine=ECHO()):
        await rig.direct(text)
        texts = await rig.until_replies(lambda texts: code(texts) == lines, person="ann")
    assert len(texts) >= 2
    match rig:
        case DiscordRig():
            assert all(one.count("```") == 2 for one in texts)
        case SlackRig():
            assert all(one.count("```") == 2 for one in rig.fake.shown("ann"))
        case TelegramRig():
            assert all([e["type"] for e in one["entities"]] == ["pre"] for one in rig.fake.posted("ann"))
            assert not any("```" in one for one in texts)


async def test_markdown_that_never_closes_loses_no_word(rig: AnyRig, store: Store) -> None:
    people = {f"person{number}": marks for number, marks in enumerate(NEVER_CLOSED)}

    def words(texts: list[str]) -> list[str]:
        return re.findall(rf"before|after|{PRIVATE}", " ".join(texts))

    async with running(rig.adapter, store=store, engine=ECHO()):
        for person, marks in people.items():
            await rig.direct(f"before {marks} after {PRIVATE}", person=person)
        for person in people:
            await rig.until_replies(lambda texts: words(texts) == ["before", "after", PRIVATE], person=person)


async def test_message_without_words_is_answered_honestly(rig: AnyRig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ECHO()):
        match rig:
            case DiscordRig():
                await rig.fake.until_connected()
                rig.fake.say("", files=["image/png"], person="ann")
                rig.fake.say("", person="bob")
            case SlackRig():
                cat = {"id": "F1", "mimetype": "image/png", "name": "cat.png"}
                await rig.fake.say("", subtype="file_share", files=[cat], person="ann")
                await rig.fake.say(" ", person="bob")
            case TelegramRig():
                await rig.fake.say(photo=[{"file_id": "p", "file_unique_id": "u", "width": 9, "height": 9}])
                await rig.fake.say(person="bob", dice={"emoji": "🎲", "value": 3})
        only_image = notices.NOT_TEXT.format(files="images")
        await rig.until_replies(lambda texts: texts == [only_image], person="ann")
        await rig.direct("next", person="bob")
        await rig.until_replies(lambda texts: texts[-1:] == [said("next")], person="bob")


async def test_message_too_long_for_the_model_is_told_so(rig: AnyRig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ECHO(), dialogue=DialogueSettings(window=100)):
        await rig.direct(numbered(15_000))
        await rig.until_replies(lambda texts: texts == [PromptTooLong.reply], person="ann")


async def test_reply_survives_the_store_that_goes_away_in_its_middle(
    mortal_rig: AnyRig | WebRig, mortal_store: Store, mortal_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    text = numbered(60)
    async with running(mortal_rig.adapter, store=mortal_store, engine=ECHO(delay=SLOW)):
        await mortal_rig.direct(text)
        await mortal_rig.until_replies(lambda texts: "w5" in " ".join(texts), person="ann")
        await asyncio.to_thread(mortal_server.kill)
        await until(lambda: warned(caplog, "core.worker"))
        if not isinstance(mortal_rig, WebRig):  # the page takes no message that it cannot keep, and says so
            await mortal_rig.direct("meanwhile")
        await asyncio.to_thread(mortal_server.ensure)
        if isinstance(mortal_rig, WebRig):
            await mortal_rig.until_replies(whole(said(text)), person="ann")
            await mortal_rig.direct("meanwhile")
        await mortal_rig.until_replies(lambda texts: texts == [said(text), said("meanwhile")], person="ann")


async def test_reply_survives_a_platform_that_is_slow_and_goes_down_in_its_middle(
    rig: AnyRig, store: Store
) -> None:
    text = numbered(40)
    break_calls(rig, "send", "429", "page")
    async with running(rig.adapter, store=store, engine=ECHO(delay=SLOW)):
        await rig.direct(text)
        await rig.until_replies(lambda texts: len(texts) == 1, person="ann")
        break_calls(rig, "edit", "down", "cut after")
        await rig.until_replies(whole(said(text)), person="ann")
        assert len(await rig.replies(person="ann")) == 1


async def test_next_part_of_a_reply_is_sent_once_when_the_platform_was_down(rig: AnyRig, store: Store) -> None:
    text = numbered(rig.limit // 4)
    # Telegram can tell nobody whether a message arrived whose answer was lost.
    break_calls(rig, "send", "none", "cut before" if isinstance(rig, TelegramRig) else "cut after")
    async with running(rig.adapter, store=store, engine=ECHO()):
        await rig.direct(text)
        texts = await rig.until_replies(whole(said(text)), person="ann")
    assert len(texts) == 2
