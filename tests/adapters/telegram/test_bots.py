"""Several bots in one process: what belongs to one never gets to another, though chats and messages have the same
numbers for both.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from adapters.telegram.adapter import TelegramAdapter, TelegramSettings
from core.dialogue import DialogueSettings
from core.engine.scripted import ScriptedEngine
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from core.turns import Conversation, Room
from tests.adapters.telegram.conftest import soon
from tests.core.rooms import Mirror
from tests.fakes.telegram import FakeTelegram
from tests.running import running


@pytest.fixture
async def support(fake: FakeTelegram) -> AsyncIterator[FakeTelegram]:
    """A second bot on the same server."""
    async with FakeTelegram(token="7001:another-token", username="support_bot") as support:
        fake.others[support.token] = support
        yield support


def settings_of(fake: FakeTelegram, support: FakeTelegram) -> list[TelegramSettings]:
    return [
        TelegramSettings(token=fake.token, api_base=fake.api_base),
        TelegramSettings(token=support.token, api_base=fake.api_base, name="support"),
    ]


def adapters(store: Store, fake: FakeTelegram, support: FakeTelegram) -> list[TelegramAdapter]:
    return [TelegramAdapter(each, store.fleet, waits=soon()) for each in settings_of(fake, support)]


def talk(bot: str, fake: FakeTelegram) -> Conversation:
    return Conversation.of(Room("telegram", bot, {}), fake.chat("ann").id)


async def test_each_bot_answers_what_was_said_to_it(
    store: Store, fake: FakeTelegram, support: FakeTelegram
) -> None:
    async with running(*adapters(store, fake, support), store=store, engine=ScriptedEngine()) as bot:
        assert [life.name for life in bot.lives] == ["telegram", "telegram/support"]
        first, second = await fake.say("one"), await support.say("two")
        await fake.until(lambda: fake.shown("ann") == ["You said: one"])
        await support.until(lambda: support.shown("ann") == ["You said: two"])
    assert first == second
    for number, server, said in (("7000", fake, "one"), ("7001", support, "two")):
        turns = await store.memory.turns(talk(number, server), 10)
        assert [turn.text for turn in turns] == [said, f"You said: {said}"]


async def test_commands_are_answered_by_the_bot_that_was_asked(
    store: Store, fake: FakeTelegram, support: FakeTelegram
) -> None:
    async with running(*adapters(store, fake, support), store=store, engine=ScriptedEngine()):
        await support.say("/help")
        await support.until(lambda: bool(support.shown("ann")))
    assert not fake.calls("sendMessage")


async def test_a_bot_has_the_persona_that_is_set_for_it(
    store: Store, fake: FakeTelegram, support: FakeTelegram
) -> None:
    dialogue = DialogueSettings(persona="Be kind.", bots={"telegram/7001": "Be brief."}, window=5000)
    async with running(*adapters(store, fake, support), store=store, engine=Mirror(), dialogue=dialogue):
        await fake.say("hi")
        await support.say("hi")
        await fake.until(lambda: fake.shown("ann") == ["system: Be kind. | user: hi"])
        await support.until(lambda: support.shown("ann") == ["system: Be brief. | user: hi"])


async def test_a_bot_that_is_refused_leaves_the_other_at_work(
    store: Store, fake: FakeTelegram, support: FakeTelegram
) -> None:
    bots = adapters(store, fake, support)
    support.token = "7001:revoked"
    async with running(*bots, store=store, engine=ScriptedEngine()) as bot:
        assert [life.state for life in bot.lives] == ["listening", "refused"]
        await fake.say("still there?")
        await fake.until(lambda: fake.shown("ann") == ["You said: still there?"])


async def test_what_waits_for_a_bot_that_is_not_here_is_kept_for_it(
    store_settings: StoreSettings, fake: FakeTelegram, support: FakeTelegram
) -> None:
    async with open_store(store_settings, lease=2.0, beat_every=0.2) as store:
        first, second = adapters(store, fake, support)
        async with second, asyncio.TaskGroup() as group:
            listening = group.create_task(second.listen(store.inbox))
            await support.say("anybody?")
            await support.until(lambda: support.unconfirmed == 0)
            listening.cancel()
        async with running(first, store=store, engine=ScriptedEngine()):
            await fake.say("here?")
            await fake.until(lambda: fake.shown("ann") == ["You said: here?"])
            await asyncio.sleep(1.5 * store.claims.lease)  # by then it was offered to this process again
        assert not support.shown("ann")
        async with running(*adapters(store, fake, support), store=store, engine=ScriptedEngine()):
            await support.until(lambda: support.shown("ann") == ["You said: anybody?"])
    assert fake.shown("ann") == ["You said: here?"]


async def test_a_bot_that_is_paused_waits_while_the_other_answers(
    store_settings: StoreSettings, fake: FakeTelegram, support: FakeTelegram
) -> None:
    async with (
        open_store(store_settings, lease=2.0, beat_every=0.2) as store,
        running(*adapters(store, fake, support), store=store, engine=ScriptedEngine()),
    ):
        await store.fleet.hold("telegram/support")
        await support.say("later")
        await support.say("/help")
        await fake.say("now")
        await fake.until(lambda: fake.shown("ann") == ["You said: now"])
        assert not support.shown("ann")
        await store.fleet.let_go("telegram/support")
        await support.until(lambda: "You said: later" in support.shown("ann"))


async def test_each_bot_is_pushed_to_at_a_path_of_its_own(
    store: Store, fake: FakeTelegram, support: FakeTelegram, unused_tcp_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/telegram"
    bots = [
        TelegramAdapter(replace(settings, mode="webhook", webhook_url=url), store.fleet, waits=soon())
        for settings in settings_of(fake, support)
    ]
    address = ("127.0.0.1", unused_tcp_port)
    async with running(*bots, store=store, engine=ScriptedEngine(), address=address):
        await fake.say("one")
        await support.say("two")
        await fake.until(lambda: fake.shown("ann") == ["You said: one"])
        await support.until(lambda: support.shown("ann") == ["You said: two"])
    assert (fake.api.webhook["url"], support.api.webhook["url"]) == (url, f"{url}/support")


async def test_metrics_and_readiness_tell_the_bots_apart(
    store: Store, fake: FakeTelegram, support: FakeTelegram
) -> None:
    bots = adapters(store, fake, support)
    async with running(*bots, store=store, engine=ScriptedEngine(), address=("127.0.0.1", 0)) as bot:
        await support.say("hi")
        await support.until(lambda: support.shown("ann") == ["You said: hi"])
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{bot.url}/metrics") as answer:
                metrics = await answer.text()
            async with session.get(f"{bot.url}/readyz") as answer:
                ready = await answer.json()
    assert 'trialogue_events_total{kind="message",platform="telegram/support"} 1.0' in metrics
    assert 'trialogue_platform_connected{platform="telegram"} 1.0' in metrics
    assert ready == {"store": True, "model": True, "telegram": True, "telegram/support": True}
