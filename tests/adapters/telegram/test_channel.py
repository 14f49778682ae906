"""One room as the planner sees it: what each of Telegram's answers means."""

import asyncio

import pytest
from telegram.error import TelegramError

from adapters.delivery import Limited, MessageGone, Unavailable
from adapters.telegram.channel import TelegramChannel, translated
from adapters.telegram.client import Client, Connection
from adapters.telegram.homes import Homes
from core.errors import Refused
from tests.fakes.telegram import FakeTelegram, Fault


def channel_to(
    fake: FakeTelegram, client: Client, where: str, *, topic: int | None = None, reply_to: str | None = None
) -> TelegramChannel:
    quoted = None if reply_to is None else int(reply_to.partition("/")[2])
    return TelegramChannel(client, Homes(), chat=fake.chat(where).id, topic=topic, reply_to=quoted)


async def test_message_is_sent_and_edited_in_form(fake: FakeTelegram, client: Client) -> None:
    channel = channel_to(fake, client, "ann")
    message = await channel.send("**hello**", key="k")
    assert fake.posted("ann")[0]["entities"] == [{"type": "bold", "offset": 0, "length": 5}]
    await channel.edit(message, "`bye`")
    assert fake.shown("ann") == ["bye"]
    assert fake.posted("ann")[0]["entities"] == [{"type": "code", "offset": 0, "length": 3}]


async def test_links_are_not_previewed(fake: FakeTelegram, client: Client) -> None:
    message = await channel_to(fake, client, "ann").send("https://example.org", key="k")
    await channel_to(fake, client, "ann").edit(message, "https://example.com")
    for call in (*fake.calls("sendMessage"), *fake.calls("editMessageText")):
        assert call.params["link_preview_options"] == {"is_disabled": True}


async def test_first_message_quotes_whom_it_answers(fake: FakeTelegram, client: Client) -> None:
    asked = await fake.say("@trialogue_bot hello", room="general")
    channel = channel_to(fake, client, "general", reply_to=asked)
    await channel.send("one", key="1")
    await channel.send("two", key="2")
    first, second = fake.posted("general")
    assert f"{first['chat']['id']}/{first['reply_to_message']['message_id']}" == asked
    assert "reply_to_message" not in second


async def test_answer_to_a_deleted_message_is_sent_all_the_same(fake: FakeTelegram, client: Client) -> None:
    asked = await fake.say("@trialogue_bot hello", room="general")
    await fake.delete(asked)
    await channel_to(fake, client, "general", reply_to=asked).send("one", key="1")
    assert fake.shown("general") == ["one"]


async def test_edit_that_changes_nothing_is_done(fake: FakeTelegram, client: Client) -> None:
    channel = channel_to(fake, client, "ann")
    message = await channel.send("same", key="k")
    await channel.edit(message, "same")
    assert len(fake.calls("editMessageText")) == 1


async def test_message_that_somebody_removed_is_gone(fake: FakeTelegram, client: Client) -> None:
    channel = channel_to(fake, client, "ann")
    message = await channel.send("x", key="k")
    await fake.delete(message)
    with pytest.raises(MessageGone):
        await channel.edit(message, "y")


@pytest.mark.parametrize("standing", ["kicked", "blocked", "restricted"])
async def test_room_that_the_bot_may_not_write_to_refuses(
    fake: FakeTelegram, client: Client, standing: str
) -> None:
    channel = channel_to(fake, client, "general")
    message = await channel.send("x", key="k")
    await fake.forbid("general", standing)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="telegram"):
        await channel.send("y", key="k")
    with pytest.raises(Refused, match="telegram"):
        await channel.edit(message, "y")


async def test_topic_that_is_not_there_refuses(fake: FakeTelegram, client: Client) -> None:
    fake.open_group("forum", forum=True)
    with pytest.raises(Refused, match="thread not found"):
        await channel_to(fake, client, "forum", topic=5).send("x", key="k")


async def test_revoked_token_refuses_and_is_not_told(fake: FakeTelegram, client: Client) -> None:
    channel = channel_to(fake, client, "ann")
    fake.token = "7000:another"
    with pytest.raises(Refused, match="BotFather") as refused:
        await channel.send("x", key="k")
    assert "fake-token" not in f"{refused.value!r} {refused.value.__cause__!r}"


async def test_flood_limit_says_how_long(fake: FakeTelegram, client: Client) -> None:
    channel = channel_to(fake, client, "ann")
    fake.fail("sendMessage", "429", after=35)
    with pytest.raises(Limited) as limited:
        await channel.send("x", key="k")
    assert (limited.value.after, limited.value.everywhere) == (35, False)


@pytest.mark.parametrize("fault", ["500", "html", "garbage", "cut before", "cut after"])
async def test_lost_answer_leaves_the_send_in_doubt(fake: FakeTelegram, client: Client, fault: Fault) -> None:
    fake.fail("sendMessage", fault)
    with pytest.raises(Unavailable) as unavailable:
        await channel_to(fake, client, "ann").send("x", key="k")
    assert unavailable.value.in_doubt
    assert len(fake.calls("sendMessage")) == 1


async def test_server_that_cannot_be_reached_leaves_no_doubt(fake: FakeTelegram, unused_tcp_port: int) -> None:
    connection = Connection()
    await connection.initialize()
    nowhere = Client(fake.token, f"http://127.0.0.1:{unused_tcp_port}", connection)
    with pytest.raises(Unavailable) as unavailable:
        await channel_to(fake, nowhere, "ann").send("x", key="k")
    await connection.shutdown()
    assert not unavailable.value.in_doubt


async def test_refused_formatting_does_not_lose_the_words(fake: FakeTelegram, client: Client) -> None:
    fake.api.refuse_entities = True
    channel = channel_to(fake, client, "ann")
    message = await channel.send("**all** of it", key="k")
    assert fake.shown("ann") == ["all of it"]
    await channel.edit(message, "**all** of it, again")
    assert fake.shown("ann") == ["all of it, again"]


async def test_send_follows_a_group_that_became_a_supergroup(fake: FakeTelegram, client: Client) -> None:
    fake.open_group("family", supergroup=False)
    asked = await fake.say("@trialogue_bot hello", room="family")
    channel = channel_to(fake, client, "family", reply_to=asked)
    new = await fake.migrate("family")
    assert await channel.send("here", key="k") == f"{new}/{fake.posted('family')[0]['message_id']}"
    assert channel.chat == new
    assert "reply_to_message" not in fake.posted("family")[0]


async def test_reply_under_way_moves_with_its_group(fake: FakeTelegram, client: Client) -> None:
    fake.open_group("family", supergroup=False)
    channel = channel_to(fake, client, "family")
    message = await channel.send("half", key="k")
    await fake.migrate("family")
    await channel.edit(message, "half and more")
    await channel.edit(message, "all of it")
    assert fake.shown("family") == ["all of it"]


async def test_typing_is_shown_in_the_topic_and_ends(fake: FakeTelegram, client: Client) -> None:
    fake.open_group("forum", forum=True)
    topic = await fake.open_topic("forum")
    async with channel_to(fake, client, "forum", topic=topic).typing():
        await fake.until(lambda: bool(fake.api.typing))
    assert fake.api.typing == [(fake.chat("forum").id, topic)]


async def test_typing_that_fails_disturbs_nobody(fake: FakeTelegram, client: Client) -> None:
    fake.fail("sendChatAction", "html")
    async with channel_to(fake, client, "ann").typing():
        await fake.until(lambda: bool(fake.calls("sendChatAction")))


async def test_error_while_typing_comes_out_as_it_is(fake: FakeTelegram, client: Client) -> None:
    with pytest.raises(LookupError):
        async with channel_to(fake, client, "ann").typing():
            raise LookupError


async def test_cancelled_call_ends_at_once(fake: FakeTelegram, client: Client) -> None:
    with fake.hold("sendMessage"), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await channel_to(fake, client, "ann").send("x", key="k")


def test_every_error_of_the_library_is_translated() -> None:
    import telegram.error

    for name in telegram.error.__all__:
        kind = getattr(telegram.error, name)
        if issubclass(kind, TelegramError) and name not in {"ChatMigrated", "RetryAfter"}:
            assert isinstance(translated(kind("x")), Limited | Unavailable | MessageGone | Refused)


async def test_nothing_of_a_call_is_logged(
    fake: FakeTelegram, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    channel = channel_to(fake, client, "ann")
    fake.fail("sendMessage", "html", "garbage", "429")
    for _ in range(3):
        with pytest.raises((Unavailable, Limited)):
            await channel.send("a secret of ann's", key="k")
    await channel.edit(await channel.send("a secret of ann's", key="k"), "another secret")
    await client.updates(None, timeout=0, allowed=("message",))
    assert "secret" not in caplog.text
    assert "fake-token" not in caplog.text
