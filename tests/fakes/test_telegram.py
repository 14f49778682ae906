"""The fake Bot API itself, seen through the library's own `Bot` and its own connection."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from telegram import Bot, MessageEntity
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, NetworkError
from telegram.request import HTTPXRequest

from tests.fakes.telegram import FakeTelegram


@pytest.fixture
async def fake() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as fake:
        yield fake


def bot_for(fake: FakeTelegram, token: str | None = None) -> Bot:
    return Bot(
        token or fake.token,
        base_url=f"{fake.api_base}/bot",
        request=HTTPXRequest(httpx_kwargs={"trust_env": False}),
        get_updates_request=HTTPXRequest(httpx_kwargs={"trust_env": False}),
    )


@pytest.fixture
async def bot(fake: FakeTelegram) -> AsyncIterator[Bot]:
    async with bot_for(fake) as bot:
        yield bot


async def raw(fake: FakeTelegram, method: str, **params: str | int) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{fake.api_base}/bot{fake.token}/{method}", data=params) as answer,
    ):
        return answer.status, await answer.text()


async def test_bot_learns_who_it_is(bot: Bot) -> None:
    assert (bot.id, bot.username, bot.can_read_all_group_messages) == (7000, "trialogue_bot", False)


@pytest.mark.parametrize("token", ["7000:wrong", "no-colon"])
async def test_unknown_token_is_refused(fake: FakeTelegram, token: str) -> None:
    with pytest.raises(InvalidToken):
        async with bot_for(fake, token):
            pass


async def test_update_comes_again_until_a_higher_offset_is_asked_for(fake: FakeTelegram, bot: Bot) -> None:
    await fake.say("one")
    await fake.say("two")
    first, second = await bot.get_updates()
    assert [u.update_id for u in await bot.get_updates(offset=first.update_id)] == [
        first.update_id,
        second.update_id,
    ]
    assert [u.update_id for u in await bot.get_updates(offset=second.update_id)] == [second.update_id]
    assert fake.unconfirmed == 1


async def test_long_poll_ends_when_somebody_speaks(fake: FakeTelegram, bot: Bot) -> None:
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(bot.get_updates(timeout=30))
        await fake.until(lambda: bool(fake.calls("getUpdates")))
        await fake.say("at last")
    (update,) = poll.result()
    assert update.message is not None
    assert update.message.text == "at last"


async def test_second_poller_ends_the_first(fake: FakeTelegram, bot: Bot) -> None:
    with pytest.raises(ExceptionGroup) as failed:
        async with asyncio.TaskGroup() as group:
            group.create_task(bot.get_updates(timeout=30))
            await fake.until(lambda: bool(fake.calls("getUpdates")))
            group.create_task(bot.get_updates(timeout=30))
    assert failed.group_contains(Conflict)


async def test_nothing_is_polled_while_a_webhook_is_set(fake: FakeTelegram, bot: Bot) -> None:
    await bot.set_webhook("https://example.org/hook")
    with pytest.raises(Conflict, match="webhook"):
        await bot.get_updates()
    await bot.delete_webhook()
    assert await bot.get_updates() == ()


async def test_message_stands_and_is_edited(fake: FakeTelegram, bot: Bot) -> None:
    chat = fake.chat("ann").id
    sent = await bot.send_message(chat, "hello")
    await bot.edit_message_text("hello, ann", chat, sent.message_id)
    assert fake.shown("ann") == ["hello, ann"]
    with pytest.raises(BadRequest, match="not modified"):
        await bot.edit_message_text("hello, ann", chat, sent.message_id)


async def test_limit_counts_utf16_units(fake: FakeTelegram, bot: Bot) -> None:
    chat = fake.chat("ann").id
    await bot.send_message(chat, "😀" * 2048)
    with pytest.raises(BadRequest, match="too long"):
        await bot.send_message(chat, "😀" * 2048 + "a")
    with pytest.raises(BadRequest, match="empty"):
        await bot.send_message(chat, " \n ")


@pytest.mark.parametrize(
    "entities",
    [
        [MessageEntity("bold", 0, 6)],
        [MessageEntity("bold", 4, 0)],
        [MessageEntity("bold", 1, 1)],
        [MessageEntity("text_link", 0, 2, url="nowhere")],
        [MessageEntity("code", 0, 3), MessageEntity("bold", 2, 3)],
        [MessageEntity("bold", 0, 3), MessageEntity("bold", 2, 3)],
    ],
    ids=["past the end", "empty", "half an emoji", "link to nothing", "bold code", "bold bold"],
)
async def test_impossible_entities_are_refused(
    fake: FakeTelegram, bot: Bot, entities: list[MessageEntity]
) -> None:
    with pytest.raises(BadRequest, match=r"(?i)entit"):
        await bot.send_message(fake.chat("ann").id, "😀abc", entities=entities)
    assert fake.shown("ann") == []


async def test_names_outside_of_code_are_called(fake: FakeTelegram, bot: Bot) -> None:
    chat = fake.chat("general").id
    await bot.send_message(chat, "@ann_k and @bob_k", entities=[MessageEntity("code", 0, 6)])
    assert fake.api.called == ["@bob_k"]


async def test_places_that_the_bot_may_not_write_to(fake: FakeTelegram, bot: Bot) -> None:
    chat = fake.chat("general").id
    await fake.forbid("general", "kicked")
    with pytest.raises(Forbidden, match="kicked"):
        await bot.send_message(chat, "x")
    await fake.forbid("general", "restricted")
    with pytest.raises(BadRequest, match=r"(?i)not enough rights"):
        await bot.send_message(chat, "x")
    with pytest.raises(BadRequest, match=r"(?i)chat not found"):
        await bot.send_message(4, "x")
    with pytest.raises(BadRequest, match=r"(?i)thread not found"):
        await bot.send_message(fake.chat("ann").id, "x", message_thread_id=9)


async def test_migrated_group_says_where_it_went(fake: FakeTelegram, bot: Bot) -> None:
    old = fake.open_group("family", supergroup=False).id
    new = await fake.migrate("family")
    with pytest.raises(ChatMigrated) as moved:
        await bot.send_message(old, "x")
    assert moved.value.new_chat_id == new
    told = [u.message for u in await bot.get_updates()]
    assert [(m.chat.id, m.migrate_to_chat_id, m.migrate_from_chat_id) for m in told if m] == [
        (old, new, None),
        (new, None, old),
    ]


async def test_privacy_mode_hides_what_is_not_meant_for_the_bot(fake: FakeTelegram, bot: Bot) -> None:
    await fake.say("among ourselves", room="general")
    await fake.say("@trialogue_bot hello", room="general")
    await fake.say("/help", room="general")
    texts = [u.message.text for u in await bot.get_updates() if u.message]
    assert texts == ["@trialogue_bot hello", "/help"]


async def test_flood_limits_answer_429_with_a_time(fake: FakeTelegram) -> None:
    fake.api.rates = True
    chat = fake.chat("ann").id
    assert (await raw(fake, "sendMessage", chat_id=chat, text="a"))[0] == 200
    status, body = await raw(fake, "sendMessage", chat_id=chat, text="b")
    assert status == 429
    assert '"retry_after": 1' in body


async def test_misbehaviour_on_demand(fake: FakeTelegram, bot: Bot) -> None:
    chat = fake.chat("ann").id
    fake.fail("sendMessage", "html", "500", "cut before", "cut after")
    for text in ("html", "500", "cut before", "cut after"):
        with pytest.raises(NetworkError):
            await bot.send_message(chat, text)
    fake.fail("sendMessage", "429", after=7)
    status, body = await raw(fake, "sendMessage", chat_id=chat, text="x")
    assert status == 429
    assert '"retry_after": 7' in body
    assert fake.shown("ann") == ["cut after"]


async def test_held_call_is_answered_after_the_block(fake: FakeTelegram, bot: Bot) -> None:
    async with asyncio.TaskGroup() as group:
        with fake.hold("getMe"):
            asked = group.create_task(bot.get_me())
            await fake.until(lambda: len(fake.calls("getMe")) == 2)
            assert not asked.done()
    assert asked.result().id == 7000


async def test_waiting_in_vain_tells_what_was_seen(fake: FakeTelegram, bot: Bot) -> None:
    await bot.send_message(fake.chat("ann").id, "all there is")
    with pytest.raises(AssertionError, match="all there is"):
        await fake.until(lambda: False, within=0.01)


async def test_nobody_is_answered_until_what_is_down_is_mended(fake: FakeTelegram, bot: Bot) -> None:
    chat = fake.chat("ann").id
    fake.fail("sendMessage", "500", "500")
    fake.down = True
    with pytest.raises(NetworkError):
        await bot.send_message(chat, "in vain")
    fake.mend()
    await bot.send_message(chat, "mended")
    assert fake.shown("ann") == ["mended"]


async def test_each_message_tells_who_sent_it_and_whether_that_was_told(fake: FakeTelegram) -> None:
    chat = fake.chat("ann").id
    named = Bot(fake.token, base_url=f"{fake.api_base}/work-1.2/bot")
    fake.fail("sendMessage", "cut after")
    async with named:
        with pytest.raises(NetworkError):
            await named.send_message(chat, "one")
        await named.send_message(chat, "two")
    assert [(sent.caller, sent.cut) for sent in fake.sent.values()] == [("work-1.2", True), ("work-1.2", False)]
