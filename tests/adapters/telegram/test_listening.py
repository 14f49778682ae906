"""From the person to the inbox: polling and its offset, conflicts, migrations, and what cannot be taken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from adapters.telegram.adapter import TelegramAdapter, TelegramSettings
from core.commands import commands
from core.errors import Refused
from tests.adapters.telegram.conftest import soon
from tests.adapters.telegram.notebook import Alone, Notebook
from tests.fakes.telegram import FakeTelegram, Fault


@asynccontextmanager
async def listening(adapter: TelegramAdapter, inbox: Notebook) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(adapter.listen(inbox))
        yield
        task.cancel()


def polled(fake: FakeTelegram, times: int) -> bool:
    return len(fake.calls("getUpdates")) >= times


async def test_adapter_knows_its_account_when_entered(adapter: TelegramAdapter) -> None:
    assert adapter.bot == "7000"


@pytest.mark.parametrize("token", ["7000:wrong", "nonsense"])
async def test_wrong_token_is_refused_with_where_to_click(fake: FakeTelegram, token: str) -> None:
    adapter = TelegramAdapter(TelegramSettings(token=token, api_base=fake.api_base), Alone(), waits=soon())
    with pytest.raises(Refused, match="BotFather") as refused:
        async with adapter:
            pass
    assert token not in f"{refused.value}"
    assert refused.value.__suppress_context__


async def test_platform_that_is_down_at_the_start_is_waited_for(fake: FakeTelegram, inbox: Notebook) -> None:
    fake.fail("getMe", "html", "html", "500", "cut before", "html")
    adapter = TelegramAdapter(TelegramSettings(token=fake.token, api_base=fake.api_base), Alone(), waits=soon())
    async with adapter, listening(adapter, inbox):
        assert adapter.bot == "7000"
        await fake.say("there you are")
        await inbox.until(lambda: inbox.texts == ["there you are"])


async def test_token_that_is_revoked_meanwhile_ends_listening(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook
) -> None:
    with pytest.raises(ExceptionGroup) as failed:
        async with listening(adapter, inbox):
            await fake.until(lambda: bool(fake.calls("getUpdates")))
            fake.token = "7000:another"
            await fake.say("wakes the poll")
            await asyncio.Event().wait()
    assert failed.group_contains(Refused, match="BotFather", depth=1)


async def test_messages_are_taken_in_order_and_acknowledged_after(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook
) -> None:
    for text in ("one", "two", "three"):
        await fake.say(text)
    async with listening(adapter, inbox):
        await inbox.until(lambda: inbox.texts == ["one", "two", "three"])
        await fake.until(lambda: fake.unconfirmed == 0)


async def test_nothing_is_acknowledged_while_the_store_is_away(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook
) -> None:
    inbox.away = True
    async with listening(adapter, inbox):
        await fake.say("keep me")
        await inbox.until(lambda: inbox.refusals > 2)
        assert fake.unconfirmed == 1
        inbox.away = False
        await inbox.until(lambda: inbox.texts == ["keep me"])
        await fake.until(lambda: fake.unconfirmed == 0)


async def test_person_is_told_once_that_the_mailbox_is_full(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook
) -> None:
    inbox.full = True
    async with listening(adapter, inbox):
        await fake.say("too much")
        await fake.say("even more")
        await fake.until(lambda: bool(fake.shown("ann")) and fake.unconfirmed == 0)
    assert fake.shown("ann") == ["Too many people are asking at once. Please try again in a minute."]


async def test_update_that_cannot_be_read_is_left_out(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    await fake.garbage({"message": {"text": "ann's words", "date": "yesterday"}})
    await fake.garbage({"message": "not even a message"})
    await fake.garbage({"message": {"message_id": 1, "date": 10**30, "chat": {"id": 1, "type": "private"}}})
    await fake.garbage({"news_of_next_year": {"text": "ann's words"}})
    await fake.say("readable")
    async with listening(adapter, inbox):
        await inbox.until(lambda: inbox.texts == ["readable"])
        await fake.until(lambda: fake.unconfirmed == 0)
    assert "5001" in caplog.text
    assert "ann's words" not in caplog.text


@pytest.mark.parametrize("fault", ["429", "500", "html", "garbage", "cut before", "cut after"])
async def test_polling_survives(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook, fault: Fault
) -> None:
    fake.fail("getUpdates", fault)
    fake.fail("deleteWebhook", fault)
    fake.fail("setMyCommands", fault)
    async with listening(adapter, inbox):
        await fake.say("still here?")
        await inbox.until(lambda: inbox.texts == ["still here?"])


async def test_message_of_a_lost_answer_is_taken_once(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook
) -> None:
    first = await fake.say("once")
    async with listening(adapter, inbox):
        await inbox.until(lambda: inbox.texts == ["once"])
        await fake.redeliver(first)
        await fake.say("next")
        await inbox.until(lambda: inbox.texts == ["once", "next"])


async def test_token_that_is_polled_elsewhere_is_waited_for(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    settings = TelegramSettings(token=fake.token, api_base=fake.api_base)
    async with listening(adapter, inbox):
        await fake.until(lambda: bool(fake.calls("getUpdates")))
        async with TelegramAdapter(settings, Alone(), waits=soon()) as second, listening(second, inbox):
            await fake.until(lambda: len(fake.calls("getUpdates")) > 4)
        await fake.say("who hears me?")
        await inbox.until(lambda: inbox.texts == ["who hears me?"])
    assert "another process receives this bot's messages" in caplog.text


async def test_webhook_is_removed_before_polling(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook
) -> None:
    fake.api.webhook = {"url": "https://example.org/left-behind"}
    async with listening(adapter, inbox):
        await fake.until(lambda: bool(fake.calls("getUpdates")))
        await fake.say("polled again")
        await inbox.until(lambda: inbox.texts == ["polled again"])


async def test_commands_are_registered_when_they_changed(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook
) -> None:
    for polls in (1, 2):
        async with listening(adapter, inbox):
            await fake.until(partial(polled, fake, polls))
    # What is set for no language is for everybody who has none of the others.
    help_in = {"": "What I can do", "de": "Was ich kann", "es": "Lo que puedo hacer", "zh": "我能做什么"}
    scopes = ("", "all_chat_administrators", "all_group_chats")
    assert {menu: shown[0]["description"] for menu, shown in fake.api.commands.items()} == {
        "/".join(filter(None, (scope, language))): said for scope in scopes for language, said in help_in.items()
    }
    assert len(fake.calls("setMyCommands")) == 12


async def test_groups_are_offered_what_can_be_done_there_by_whom(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook
) -> None:
    async with listening(adapter, inbox):
        await fake.until(partial(polled, fake, 1))
    offered = {menu: [each["command"] for each in shown] for menu, shown in fake.api.commands.items()}
    every = [command.name for command in commands()]
    assert offered[""] == offered["zh"] == every
    assert set(every) - set(offered["all_chat_administrators"]) == {"link"}
    for_managers = {"language", "quiet", "busy", "scope"}
    assert set(every) - set(offered["all_group_chats/de"]) == {"link", *for_managers}


async def test_supergroup_keeps_the_conversation_of_its_group(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook
) -> None:
    fake.open_group("family", supergroup=False)
    async with listening(adapter, inbox):
        await fake.say("@trialogue_bot before", room="family")
        await fake.migrate("family")
        await fake.say("@trialogue_bot after", room="family")
        await inbox.until(lambda: len(inbox.events) == 2)
    before, after = inbox.events
    assert before.conversation == after.conversation
    assert before.room != after.room


async def test_restarted_listener_still_knows_what_a_supergroup_was(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook
) -> None:
    old = fake.open_group("family", supergroup=False).id
    await fake.migrate("family")
    async with listening(adapter, inbox):
        await fake.until(lambda: bool(fake.calls("getUpdates")) and fake.unconfirmed == 0)
    settings = TelegramSettings(token=fake.token, api_base=fake.api_base)
    async with TelegramAdapter(settings, Alone(), waits=soon()) as second, listening(second, inbox):
        await fake.say("@trialogue_bot after", room="family")
        await inbox.until(lambda: len(inbox.events) == 1)
    assert inbox.events[0].conversation.place == f"telegram/7000/{old}"


async def test_listening_ends_at_once_when_cancelled(
    fake: FakeTelegram, adapter: TelegramAdapter, inbox: Notebook
) -> None:
    with fake.hold("getUpdates"):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(adapter.listen(inbox))
            await fake.until(lambda: bool(fake.calls("getUpdates")))
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    assert task.cancelled()
