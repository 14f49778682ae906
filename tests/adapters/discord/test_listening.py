"""The real SDK at the loopback gateway: what is heard is accepted, whatever the platform and the store do."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.discord.adapter import DiscordAdapter, DiscordSettings
from adapters.discord.intake import STOPPING, UNKNOWN
from adapters.discord.settings import PORTAL
from core.commands import commands, offer, offering, suggesting
from core.errors import Overloaded, Refused, StoreUnavailable
from tests.adapters.discord.notebook import Alone, Notebook
from tests.contracts.discord_rig import QUICK, settings_for
from tests.fakes.discord import FakeDiscord


@asynccontextmanager
async def listening(adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord) -> AsyncIterator[None]:
    """The adapter listens in this block; it ends by being cancelled, and by nothing else."""
    before = fake.gateway.identified
    async with asyncio.TaskGroup() as group:
        task = group.create_task(adapter.listen(inbox))
        await fake.until(lambda: fake.gateway.identified > before)
        yield
        task.cancel()


def seen_by(fake: FakeDiscord) -> str:
    return f"discord/{fake.world.bot.id}/seen"


@asynccontextmanager
async def process(inbox: Notebook, fake: FakeDiscord) -> AsyncIterator[None]:
    """A bot from its start to its end; what it has in the store outlives it."""
    async with (
        DiscordAdapter(settings_for(fake), Alone(), patience=QUICK) as adapter,
        listening(adapter, inbox, fake),
    ):
        yield


async def test_refused_handshakes_are_survived(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    fake.gateway.refuse(2)
    async with listening(adapter, inbox, fake):
        fake.say("hello")
        await fake.until(lambda: inbox.texts == ["hello"])


async def test_server_that_knows_only_what_is_needed_is_listened_to(
    inbox: Notebook, fake: FakeDiscord, caplog: pytest.LogCaptureFixture
) -> None:
    for method, path in (
        ("GET", "/oauth2/applications/@me"),
        ("GET", "/gateway/bot"),
        ("PUT", "/commands"),
    ):
        fake.fail(method, path, "unknown", times=10)
    async with process(inbox, fake):
        fake.say("hello")
        await fake.until(lambda: inbox.texts == ["hello"])
        await fake.until(lambda: "were not registered" in caplog.text)


@pytest.mark.parametrize("kind", ["text", "event"])
async def test_garbage_is_survived(adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord, kind: str) -> None:
    async with listening(adapter, inbox, fake):
        fake.gateway.garbage(kind)  # type: ignore[arg-type]
        await fake.until(lambda: fake.gateway.identified == 2)
        fake.say("hello")
        await fake.until(lambda: inbox.texts == ["hello"])


async def test_gateway_that_nobody_names_yet_is_waited_for(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    fake.fail("GET", "/gateway/bot", "500", "html", "429", "cut before", "html 200")
    async with listening(adapter, inbox, fake):
        assert len(fake.calls("GET", "/gateway/bot")) == 7  # how many shards, and then where to connect


async def test_used_up_sessions_are_waited_for(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord, caplog: pytest.LogCaptureFixture
) -> None:
    fake.rest.sessions_left = 1
    async with listening(adapter, inbox, fake):
        assert "allows no new session" in caplog.text


async def test_cut_connection_is_resumed(adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord) -> None:
    async with listening(adapter, inbox, fake):
        fake.gateway.drop()
        fake.say("while away")
        await fake.until(lambda: inbox.texts == ["while away"])
        assert (fake.gateway.resumed, fake.gateway.identified) == (1, 1)


async def test_what_was_said_between_two_sessions_is_read_later(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    fake.world.thread("topic", joined=True)
    async with listening(adapter, inbox, fake):
        fake.say("before")
        await fake.until(lambda: inbox.texts == ["before"])
        fake.gateway.invalidate()
        fake.say("directly")
        fake.say("not for us", room="general")
        fake.say("in a channel", room="general", mention=True)
        fake.say("in a thread", room="topic")
        await fake.until(lambda: len(inbox.events) == 4)
        assert sorted(inbox.texts) == ["before", "directly", "in a channel", "in a thread"]


async def test_what_was_said_between_two_processes_is_read_later(inbox: Notebook, fake: FakeDiscord) -> None:
    async with process(inbox, fake):
        fake.say("before")
        await fake.until(lambda: inbox.texts == ["before"] and seen_by(fake) in inbox.values)
    fake.say("in between")
    async with process(inbox, fake):
        await fake.until(lambda: inbox.texts == ["before", "in between"])


async def test_direct_message_is_read_later_from_whoever_was_first_heard_a_moment_before_the_end(
    inbox: Notebook, fake: FakeDiscord
) -> None:
    async with process(inbox, fake):
        fake.say("before")
        await fake.until(lambda: inbox.texts == ["before"] and seen_by(fake) in inbox.values)
        fake.say("hello", person="bob")
        await fake.until(lambda: inbox.texts == ["before", "hello"])
    fake.say("in between", person="bob")
    async with process(inbox, fake):
        await fake.until(lambda: inbox.texts == ["before", "hello", "in between"])


async def test_new_message_waits_for_those_that_were_missed_before_it(inbox: Notebook, fake: FakeDiscord) -> None:
    async with process(inbox, fake):
        fake.say("before")
        await fake.until(lambda: inbox.texts == ["before"])
    for number in range(3):
        fake.say(f"missed {number}")
    async with process(inbox, fake):
        fake.say("new")
        await fake.until(lambda: len(inbox.texts) == 5)
    assert inbox.texts == ["before", "missed 0", "missed 1", "missed 2", "new"]


async def test_whoever_is_first_heard_in_a_session_is_not_looked_for(inbox: Notebook, fake: FakeDiscord) -> None:
    """The client says that a session is ready some time after the first messages have come."""
    async with process(inbox, fake):
        fake.say("before")
        await fake.until(lambda: inbox.texts == ["before"] and seen_by(fake) in inbox.values)
    async with process(inbox, fake):
        fake.say("hello", person="bob")
        await fake.until(lambda: bool(fake.calls("GET", "/messages")) and inbox.texts == ["before", "hello"])
    [read] = fake.calls("GET", "/messages")
    assert read.parameters["channel_id"] == fake.world.direct("ann").id


async def test_missed_messages_are_read_when_discord_answers_again(inbox: Notebook, fake: FakeDiscord) -> None:
    async with process(inbox, fake):
        fake.say("before")
        await fake.until(lambda: inbox.texts == ["before"])
    fake.say("missed")
    fake.fail("GET", "/messages", "500", "429", "cut before", "html", "503", times=2)
    async with process(inbox, fake):
        fake.say("new")
        await fake.until(lambda: len(inbox.texts) == 3, within=40.0)
    assert inbox.texts == ["before", "missed", "new"]


async def test_what_was_said_long_ago_is_left_alone(inbox: Notebook, fake: FakeDiscord) -> None:
    async with process(inbox, fake):
        fake.say("before", age=9000)
        await fake.until(lambda: inbox.texts == ["before"] and seen_by(fake) in inbox.values)
    fake.say("two hours ago", age=7200)
    fake.say("just now")
    async with process(inbox, fake):
        await fake.until(lambda: inbox.texts == ["before", "just now"])


async def test_bot_that_never_listened_reads_nothing_old(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    fake.say("long before", room="general", mention=True)
    async with listening(adapter, inbox, fake):
        fake.say("now")
        await fake.until(lambda: inbox.texts == ["now"])
    assert fake.calls("GET", "/messages") == []


async def test_messages_that_come_twice_are_offered_twice_and_taken_once(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    async with listening(adapter, inbox, fake):
        fake.redeliver(fake.say("once"))
        await fake.until(lambda: inbox.attempts == 2)
    assert inbox.texts == ["once"]


async def test_wrong_token_is_refused_and_says_where_to_click(fake: FakeDiscord) -> None:
    settings = DiscordSettings(token="wrong", api_base=fake.api_base)
    with pytest.raises(Refused) as refused:
        await DiscordAdapter(settings, Alone(), patience=QUICK).__aenter__()
    assert PORTAL in refused.value.fix
    assert "wrong" not in str(refused.value)


async def test_token_that_is_reset_while_we_listen_ends_it(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_refusal(adapter, inbox))
        await fake.until_connected()
        fake.gateway.close(4004)
        assert PORTAL in await task


async def _refusal(adapter: DiscordAdapter, inbox: Notebook) -> str:
    with pytest.raises(Refused) as refused:
        await adapter.listen(inbox)
    return refused.value.fix


async def test_platform_that_is_away_at_the_start_is_waited_for(fake: FakeDiscord) -> None:
    fake.fail("GET", "/users/@me", "500", "cut before", "html")
    async with DiscordAdapter(settings_for(fake), Alone(), patience=QUICK) as adapter:
        assert adapter.bot == fake.world.bot.id


async def test_platform_that_stays_away_does_not_hold_up_the_start(inbox: Notebook, fake: FakeDiscord) -> None:
    fake.fail("GET", "/users/@me", "503", times=5)
    async with DiscordAdapter(settings_for(fake), Alone(), patience=QUICK) as adapter:
        assert adapter.bot == fake.world.bot.id
        async with listening(adapter, inbox, fake):
            fake.say("hello")
            await fake.until(lambda: inbox.texts == ["hello"])


@pytest.mark.parametrize("told", ["by its application", "by the gateway"])
async def test_without_the_content_intent_direct_messages_and_mentions_are_still_heard(
    inbox: Notebook, fake: FakeDiscord, caplog: pytest.LogCaptureFixture, told: str
) -> None:
    fake.world.thread("topic", joined=True)
    if told == "by its application":
        fake.disallow_content()
    async with DiscordAdapter(settings_for(fake), Alone(), patience=QUICK) as adapter:
        fake.disallow_content()
        async with listening(adapter, inbox, fake):
            fake.say("cannot be read", room="topic")
            fake.say("for you", room="general", mention=True)
            await fake.until(lambda: inbox.texts == ["for you"])
            fake.say("directly")
            await fake.until(lambda: inbox.texts == ["for you", "directly"])
    assert "Message Content Intent" in caplog.text
    assert PORTAL in caplog.text


async def test_thread_that_the_bot_was_part_of_before_is_still_its_own(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    async with listening(adapter, inbox, fake):
        topic = fake.world.thread("topic")
        topic.members.add(fake.world.bot.id)  # the gateway does not say so, as after the thread was archived
        fake.say("still there?", room="topic")
        fake.say("and now?", room="topic")
        await fake.until(lambda: inbox.texts == ["still there?", "and now?"])
    assert len(fake.calls("GET", "/thread-members/{user_id}")) == 1


async def test_thread_of_others_is_asked_about_once_and_left_alone(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    async with listening(adapter, inbox, fake):
        fake.world.thread("topic")
        fake.say("among us", room="topic")
        fake.say("only us", room="topic")
        fake.say("you there", room="topic", mention=True)
        await fake.until(lambda: inbox.texts == ["you there"])
    assert len(fake.calls("GET", "/thread-members/{user_id}")) == 1
    assert inbox.events[0].conversation.thread == fake.world.named("topic").id


async def test_what_was_said_in_a_thread_is_known_to_a_bot_that_is_called_into_it(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    async with listening(adapter, inbox, fake):
        fake.world.thread("plans", owner="1")
        for number in range(30):
            fake.say(f"idea {number}", person="bob", room="plans")
        fake.say("which is best?", room="plans", mention=True)
        await fake.until(lambda: inbox.texts == ["which is best?"])
    [event] = inbox.events
    assert [quote.text for quote in event.quotes] == [f"idea {number}" for number in (0, *range(11, 30))]
    assert {quote.speaker.name for quote in event.quotes} == {"Bob"}


@pytest.mark.parametrize("replies", [2, 19, 20, 40])
async def test_message_under_which_a_thread_was_begun_is_known_to_a_bot_that_is_called_into_it(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord, replies: int
) -> None:
    async with listening(adapter, inbox, fake):
        root = fake.say("where shall we eat?", person="ann", room="general")
        fake.world.thread("plans", owner="1", under=root)
        for number in range(replies):
            fake.say(f"idea {number}", person="bob", room="plans")
        fake.say("which is best?", room="plans", mention=True)
        await fake.until(lambda: inbox.texts == ["which is best?"])
    [event] = inbox.events
    first, *others = event.quotes
    assert (first.speaker.name, first.text) == ("Ann", "where shall we eat?")
    assert [quote.text for quote in others] == [f"idea {number}" for number in range(replies)][-19:]


async def test_role_of_the_bot_is_the_bot(adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord) -> None:
    async with listening(adapter, inbox, fake):
        general = fake.world.room("general").id
        fake.say(f"<@&{fake.world.role}> hello from <#{general}>", room="general")
        await fake.until(lambda: inbox.texts == ["hello from #general"])


async def test_order_of_a_channel_is_kept_while_the_store_is_away(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    inbox.mood = "away"
    async with listening(adapter, inbox, fake):
        for number in range(5):
            fake.say(str(number))
        await fake.until(lambda: inbox.attempts > 2)
        inbox.mood = "well"
        await fake.until(lambda: inbox.texts == ["0", "1", "2", "3", "4"])


async def test_full_mailbox_is_told_once(adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord) -> None:
    inbox.mood = "full"
    async with listening(adapter, inbox, fake):
        for _ in range(3):
            fake.say("hello", room="general", mention=True)
        await fake.until(lambda: inbox.attempts == 3 and fake.shown("general") == [Overloaded.reply])
    assert fake.rest.pinged == []


async def test_command_is_accepted_and_deferred(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    async with listening(adapter, inbox, fake):
        command = fake.command("persona", "a pirate", room="general")
        await fake.until(lambda: command.answer == 5)
    assert [(event.kind, event.text) for event in inbox.events] == [("persona", "a pirate")]


async def test_command_that_was_seen_before_is_deferred_too(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    async with listening(adapter, inbox, fake):
        command = fake.command("reset")
        await fake.until(lambda: command.answer == 5)
        command.answer = None
        fake.gateway.say("INTERACTION_CREATE", command.payload, command.room)
        await fake.until(lambda: command.answer == 5)
    assert len(inbox.events) == 1


async def test_command_is_acknowledged_in_spite_of_errors(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    fake.fail("POST", "/callback", "500", "cut before", "429", "cut after")
    async with listening(adapter, inbox, fake):
        command = fake.command("reset")
        await fake.until(lambda: len(fake.calls("POST", "/callback")) == 5)
    assert command.answer == 5


@pytest.mark.parametrize(
    ("mood", "sentence"),
    [("silent", StoreUnavailable.reply), ("away", StoreUnavailable.reply), ("full", Overloaded.reply)],
)
async def test_command_that_cannot_be_taken_is_answered_in_time(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord, mood: str, sentence: str
) -> None:
    inbox.mood = mood  # type: ignore[assignment]
    async with listening(adapter, inbox, fake):
        fake.command("reset", room="general")
        await fake.until(lambda: fake.whispered("ann") == [sentence])
    assert fake.shown("general") == []


async def test_stop_is_answered_to_that_person_alone(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    async with listening(adapter, inbox, fake):
        fake.command("stop", room="general")
        await fake.until(lambda: fake.whispered("ann") == [STOPPING])
    assert [event.kind for event in inbox.events] == ["stop"]
    assert fake.shown("general") == []


async def test_command_of_an_older_version_is_answered(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    async with listening(adapter, inbox, fake):
        fake.command("dance")
        await fake.until(lambda: fake.whispered("ann") == [UNKNOWN])
    assert inbox.events == []


async def test_texts_of_a_command_are_offered_while_it_is_typed(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    with offering(suggesting("persona", ("pirate", "poet", "teacher"))):
        async with listening(adapter, inbox, fake):
            typing = [fake.type("persona", "P"), fake.type("persona", "x"), fake.type("dance", "")]
            await fake.until(lambda: all(each.choices is not None for each in typing))
        [persona] = [each for each in fake.rest.commands if each["name"] == "persona"]
    assert [each.choices for each in typing] == [["pirate", "poet"], [], []]
    assert persona["options"][0]["autocomplete"], "any other text may be typed as well"
    assert inbox.events == []


async def test_texts_that_change_while_the_bot_runs_are_offered(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    def completes() -> bool:
        return any(each["name"] == "persona" and each["options"][0]["autocomplete"] for each in fake.rest.commands)

    with offering():
        async with listening(adapter, inbox, fake):
            await fake.until(lambda: len(fake.rest.commands) == len(commands()) + 1)
            assert not completes()
            offer(suggesting("persona", ("pirate", "poet")))
            await fake.until(completes)
            typing = fake.type("persona", "pi")
            await fake.until(lambda: typing.choices == ["pirate"])


async def test_commands_are_registered_once(inbox: Notebook, fake: FakeDiscord) -> None:
    for _ in range(2):
        async with process(inbox, fake):
            await fake.until(lambda: len(fake.rest.commands) == len(commands()) + 1)
    *named, about = fake.rest.commands
    assert [command["name"] for command in named] == [command.name for command in commands()]
    assert (about["type"], about["name"]) == (3, "Ask trialogue about this")
    assert about["name_localizations"]["de"] == "Frag trialogue dazu"
    described = fake.rest.commands[0]["description_localizations"]
    assert described == {
        "de": "Was ich kann",
        "es-ES": "Lo que puedo hacer",
        "es-419": "Lo que puedo hacer",
        "zh-CN": "我能做什么",
    }
    assert len(fake.calls("PUT", "/commands")) == 1


async def test_commands_are_registered_in_spite_of_errors(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord
) -> None:
    fake.fail("PUT", "/commands", "500", "429", "cut before")
    async with listening(adapter, inbox, fake):
        await fake.until(lambda: len(fake.rest.commands) == len(commands()) + 1)


async def test_nobodys_words_and_no_secret_are_logged(
    adapter: DiscordAdapter, inbox: Notebook, fake: FakeDiscord, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="adapters")
    async with listening(adapter, inbox, fake):
        fake.fail("POST", "/callback", "429")
        command = fake.command("persona", "xyzzy", room="general")
        fake.say("plugh")
        await fake.until(lambda: command.answer == 5 and len(inbox.events) == 2)
        inbox.mood = "full"
        fake.say("plugh again")
        await fake.until(lambda: fake.shown("ann") == [Overloaded.reply])
    for secret in ("xyzzy", "plugh", fake.token, command.token):
        assert secret not in caplog.text
