"""What every adapter must do, over each platform's own wire: the SDK is real, the platform is a loopback fake."""

from collections.abc import AsyncIterator

import pytest

from core import notices
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from tests.contracts.discord_rig import DiscordRig
from tests.contracts.rig import AloneRig, DirectRig, Rig
from tests.contracts.slack_rig import SlackRig
from tests.contracts.telegram_rig import TelegramRig
from tests.contracts.terminal_rig import TerminalRig
from tests.contracts.web_rig import WebRig
from tests.running import running

GROUPS = [DiscordRig, SlackRig, TelegramRig]
ECHO = ScriptedEngine
SLOW = 0.05  # seconds a word: long enough for something to happen in the middle of a reply


@pytest.fixture(params=[*GROUPS, WebRig, TerminalRig], ids=lambda rig: rig.__name__)
async def alone(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[AloneRig]:
    async with request.param(store) as rig:
        yield rig


@pytest.fixture(params=[*GROUPS, WebRig], ids=lambda rig: rig.__name__)
async def direct(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[DirectRig]:
    async with request.param(store) as rig:
        yield rig


@pytest.fixture(params=GROUPS, ids=lambda rig: rig.__name__)
async def rig(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[Rig]:
    async with request.param(store) as rig:
        yield rig


def said(text: str) -> str:
    return f"You said: {text}"


async def test_direct_message_is_answered(alone: AloneRig, store: Store) -> None:
    async with running(alone.adapter, store=store, engine=ECHO()):
        await alone.direct("hello there")
        await alone.until_replies(lambda texts: texts == [said("hello there")], person="ann")


async def test_redelivered_message_is_answered_once(direct: DirectRig, store: Store) -> None:
    async with running(direct.adapter, store=store, engine=ECHO()):
        message = await direct.direct("once")
        await direct.redeliver(message)
        await direct.until_replies(lambda texts: texts == [said("once")], person="ann")
        await direct.redeliver(message)
        await direct.direct("after")
        await direct.until_replies(lambda texts: texts[-1:] == [said("after")], person="ann")
        assert await direct.replies(person="ann") == [said("once"), said("after")]


async def test_two_messages_at_once_are_answered_in_order(alone: AloneRig, store: Store) -> None:
    async with running(alone.adapter, store=store, engine=ECHO()):
        await alone.direct("first")
        await alone.direct("second")
        await alone.until_replies(lambda texts: texts == [said("first"), said("second")], person="ann")


async def test_two_conversations_at_once_do_not_mix(direct: DirectRig, store: Store) -> None:
    async with running(direct.adapter, store=store, engine=ECHO(delay=SLOW)):
        await direct.direct("I am Ann and I speak for a while", person="ann")
        await direct.direct("I am Bob and so do I", person="bob")
        await direct.until_replies(lambda texts: texts == [said("I am Bob and so do I")], person="bob")
        await direct.until_replies(lambda texts: texts == [said("I am Ann and I speak for a while")], person="ann")


@pytest.mark.parametrize(
    "text",
    ["שלום עולם, מה שלומך?", "👩‍👩‍👧‍👦 family 🇩🇪", "日本語のテキスト", "a   b\n\nc", "1 < 2 & 3 > 2"],
    ids=["right to left", "emoji", "japanese", "spaces", "signs"],
)
async def test_any_script_comes_back_whole(direct: DirectRig, store: Store, text: str) -> None:
    def same(texts: list[str]) -> bool:
        return [" ".join(t.split()) for t in texts] == [" ".join(said(text).split())]

    async with running(direct.adapter, store=store, engine=ECHO()):
        await direct.direct(text)
        await direct.until_replies(same, person="ann")


async def test_reply_under_way_says_so_when_the_bot_is_stopped(direct: DirectRig, store: Store) -> None:
    async with running(direct.adapter, store=store, engine=ECHO(delay=SLOW)):
        await direct.direct("word " * 2000)
        await direct.until_replies(lambda texts: "word" in " ".join(texts), person="ann")
    texts = await direct.replies(person="ann")
    assert notices.SHUTDOWN.strip("_") in texts[-1]


async def test_message_before_a_restart_is_not_answered_again_after_it(direct: DirectRig, store: Store) -> None:
    async with running(direct.adapter, store=store, engine=ECHO()):
        message = await direct.direct("before")
        await direct.until_replies(lambda texts: texts == [said("before")], person="ann")
    async with running(direct.adapter, store=store, engine=ECHO()):
        await direct.redeliver(message)
        await direct.direct("after")
        await direct.until_replies(lambda texts: texts[-1:] == [said("after")], person="ann")
        assert await direct.replies(person="ann") == [said("before"), said("after")]


async def test_room_is_answered_only_when_addressed(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ECHO()):
        await rig.overheard("not for you")
        await rig.addressed("for you")
        await rig.until_replies(lambda texts: texts == [said("for you")], room="general")


async def test_bot_never_answers_itself_or_another_bot(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ECHO()):
        await rig.own_echo()
        await rig.direct("a person")
        await rig.until_replies(lambda texts: texts == [said("a person")], person="ann")


async def test_long_answer_is_split_and_loses_nothing(rig: Rig, store: Store) -> None:
    words = [f"word{i}" for i in range(3000)]

    def whole(texts: list[str]) -> bool:
        return " ".join(texts).split() == said(" ".join(words)).split()

    async with running(rig.adapter, store=store, engine=ECHO()):
        await rig.direct(" ".join(words))
        texts = await rig.until_replies(whole, person="ann")
    assert len(texts) > 1
    assert all(len(text) <= rig.limit for text in texts)


async def test_room_that_removed_the_bot_does_not_hold_up_the_others(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ECHO(delay=SLOW)):
        await rig.addressed("word " * 200, room="general")
        await rig.until_replies(lambda texts: "word" in " ".join(texts), room="general")
        await rig.remove_bot("general")
        await rig.direct("still there?")
        await rig.until_replies(lambda texts: texts == [said("still there?")], person="ann")
