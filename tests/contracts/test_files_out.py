"""Long answers as files, over each platform's own wire."""

from collections.abc import AsyncIterator

import pytest

from adapters.delivery import SURPLUS, in_file_after
from adapters.markdown import plain
from core import notices
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from tests.contracts.discord_rig import DiscordRig
from tests.contracts.rig import Rig
from tests.contracts.slack_rig import SlackRig
from tests.contracts.telegram_rig import TelegramRig
from tests.core.store.steps import eventually
from tests.running import running


@pytest.fixture(params=[DiscordRig, SlackRig, TelegramRig], ids=lambda rig: rig.__name__)
async def rig(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[Rig]:
    async with request.param(store, file_after=2) as rig:
        yield rig


def numbered(rig: Rig, messages: float) -> str:
    """Words that fill about so many messages."""
    return " ".join(f"w{number:05}" for number in range(int(messages * rig.limit / 7)))


def says_so(text: str) -> bool:
    in_file = in_file_after(2, "")
    assert in_file is not None
    return plain(text).strip("_") == plain(in_file.sentence).strip("_")


def words(texts: list[str]) -> list[str]:
    return " ".join(texts).split()


async def test_long_answer_ends_with_all_of_it_in_a_file(rig: Rig, store: Store) -> None:
    text = numbered(rig, 4.5)
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.direct(text)
        texts = await rig.until_replies(lambda texts: len(texts) == 3 and bool(rig.files()))
        await rig.direct("next")
        await rig.until_replies(lambda texts: texts[-1] == "You said: next")
    assert says_so(texts[-1])
    assert rig.files() == [("answer.md", f"You said: {text}")]
    assert words(texts[:2]) == f"You said: {text}".split()[: len(words(texts[:2]))]


async def test_answer_that_is_not_so_long_is_messages(rig: Rig, store: Store) -> None:
    text = numbered(rig, 1.5)
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.direct(text)
        await rig.until_replies(lambda texts: words(texts) == f"You said: {text}".split())
    assert rig.files() == []


async def test_where_no_file_is_taken_messages_follow(rig: Rig, store: Store) -> None:
    text = numbered(rig, 3.5)
    rig.refuse_files()
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.direct(text)
        await rig.until_replies(lambda texts: words(texts) == f"You said: {text}".split())
    assert rig.files() == []


async def test_answer_that_becomes_a_short_one_has_no_file(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        message = await rig.direct(numbered(rig, 3.5))
        await rig.until_replies(lambda texts: len(texts) == 3 and bool(rig.files()))
        await rig.edit(message, "short")
        await rig.until_replies(lambda texts: texts == ["You said: short", SURPLUS, SURPLUS])
    if rig.adapter.platform != "telegram":  # there a message that has become a file stays one
        assert rig.files() == []


async def test_last_answer_is_a_file_for_whoever_asks_for_that(rig: Rig, store: Store) -> None:
    text = numbered(rig, 1.5)
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.direct(text)
        await rig.until_replies(lambda texts: words(texts) == f"You said: {text}".split())
        await rig.command("file")
        await rig.until_said(notices.FILED.strip("_"))
        await eventually(lambda: are_files(rig, [("answer.md", f"You said: {text}")]))


async def test_last_answer_is_said_again_where_no_file_is_taken(rig: Rig, store: Store) -> None:
    rig.refuse_files()
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.direct("hello")
        await rig.until_replies(lambda texts: texts == ["You said: hello"])
        await rig.command("file")
        await eventually(lambda: is_heard_twice(rig, "You said: hello"))
    assert rig.files() == []


async def test_there_is_no_file_before_the_first_answer(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.command("file")
        await rig.until_said(notices.STATS_NOTHING)
    assert rig.files() == []


async def test_long_export_is_a_file(rig: Rig, store: Store) -> None:
    text = numbered(rig, 3)
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.direct(text)
        await rig.until_replies(lambda texts: len(texts) == 3 and bool(rig.files()))
        await rig.command("export")
        await rig.until_said(notices.EXPORTED.strip("_"))
        await eventually(lambda: is_filed(rig, text, f"You said: {text}"))


async def is_filed(rig: Rig, *texts: str) -> bool:
    return len(rig.files()) == 2 and all(text in rig.files()[1][1] for text in texts)


async def are_files(rig: Rig, files: list[tuple[str, str]]) -> bool:
    return rig.files() == files


async def is_heard_twice(rig: Rig, sentence: str) -> bool:
    return rig.heard().count(sentence) == 2
