"""Whole turns over the loopback Discord: real SDK, real worker, real store."""

import pytest

from adapters.discord.adapter import PACE
from core.dialogue import DialogueSettings
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from tests.contracts.discord_rig import DiscordRig
from tests.fakes.discord import FakeDiscord, Fault
from tests.running import running

FAULTS: list[Fault] = [
    "429", "429 everywhere", "429 of cloudflare", "500", "503", "html", "html 200", "garbage", "cut before",
    "cut after",
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
async def test_reply_stands_there_once_whatever_happens_to_its_sending(store: Store, fault: Fault) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine()):
        rig.fake.fail("POST", "/messages", fault)
        await rig.direct("hello")
        await rig.fake.until(lambda: len(rig.fake.calls("POST", "/messages")) == 2)
        await rig.until_replies(lambda texts: texts == ["You said: hello"])
    assert len(rig.fake.calls("POST", "/messages")) == 2


@pytest.mark.parametrize("fault", FAULTS)
async def test_reply_is_finished_whatever_happens_to_its_edits(store: Store, fault: Fault) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine(delay=0.1)):
        rig.fake.fail("PATCH", "/messages/{message_id}", fault)
        text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
        await rig.direct(text)
        await rig.until_replies(lambda texts: texts == [f"You said: {text}"])
        assert len(rig.fake.calls("POST", "/messages")) == 1


async def test_reply_in_a_channel_refers_to_the_message_and_calls_nobody(store: Store) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine()):
        message = await rig.addressed("@everyone @here look")
        await rig.until_replies(lambda texts: len(texts) == 1, room="general")
        assert [one.reference for one in rig.fake.written("general")] == [message]
        assert rig.fake.rest.pinged == []


async def test_message_that_was_deleted_meanwhile_is_answered_without_referring_to_it(store: Store) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine()):
        with rig.fake.hold("POST", "/messages"):
            message = await rig.addressed("hello")
            await rig.fake.until(lambda: len(rig.fake.calls("POST", "/messages")) == 1)
            rig.fake.delete(message)
        await rig.until_replies(lambda texts: texts == ["You said: hello"], room="general")


async def test_reply_in_a_thread_stays_there_and_goes_on_without_a_mention(store: Store) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.fake.until_connected()
        rig.fake.world.thread("topic")
        await rig.addressed("hello", room="topic")
        await rig.until_replies(lambda texts: texts == ["You said: hello"], room="topic")
        await rig.overheard("and you?", room="topic")
        await rig.until_replies(lambda texts: texts[-1] == "You said: and you?", room="topic")
        assert rig.fake.shown("general") == []


async def test_typing_is_shown_until_there_is_something_to_see(store: Store) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine()):
        with rig.fake.hold("POST", "/messages"):
            await rig.direct("hello")
            await rig.fake.until(lambda: rig.fake.rest.typing == [rig.fake.world.direct("ann").id])
        await rig.until_replies(lambda texts: texts == ["You said: hello"])


async def test_pace_never_passes_the_limit_of_a_channel(store: Store) -> None:
    async with (
        DiscordRig(store, pace=PACE) as rig,
        running(rig.adapter, store=store, engine=ScriptedEngine(delay=0.1)),
    ):
        rig.fake.rest.limited = True
        text = " ".join(f"word{number}" for number in range(50))
        await rig.direct(text)
        await rig.until_replies(lambda texts: texts == [f"You said: {text}"])
        assert rig.fake.rest.floods == 0
        assert len(rig.fake.calls("PATCH", "/messages/{message_id}")) >= 2


async def test_message_that_was_removed_is_not_posted_again(store: Store) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine(delay=0.1)):
        await rig.direct("some words that take a while to be repeated")
        await rig.until_replies(lambda texts: len(texts) == 1)
        rig.fake.delete(rig.fake.written("ann")[0].id)
        await rig.direct("next")
        await rig.until_replies(lambda texts: texts == ["You said: next"])


async def test_message_without_words_is_answered_honestly(store: Store) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.fake.until_connected()
        rig.fake.say("", files=["image/png"])
        await rig.until_replies(lambda texts: len(texts) == 1 and "images" in texts[0])


async def test_help_is_for_the_person_alone(store: Store) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.fake.until_connected()
        rig.fake.command("help", room="general", person="bob")
        await rig.fake.until(lambda: "/reset" in " ".join(rig.fake.whispered("bob")))
        assert rig.fake.shown("general") == []


@pytest.mark.parametrize(("name", "text"), [("reset", None), ("persona", "a pirate"), ("persona", None)])
async def test_command_is_answered_where_it_was_made(store: Store, name: str, text: str | None) -> None:
    dialogue = DialogueSettings(window=1000)
    async with (
        DiscordRig(store) as rig,
        running(rig.adapter, store=store, engine=ScriptedEngine(), dialogue=dialogue),
    ):
        await rig.fake.until_connected()
        command = rig.fake.command(name, text, room="general")
        await rig.until_replies(lambda texts: len(texts) == 1, room="general")
        assert rig.fake.written("general") == [command.original]
        assert rig.fake.calls("POST", "/channels/{channel_id}/messages") == []


async def test_command_that_could_not_be_acknowledged_is_answered_in_the_channel(store: Store) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.fake.until_connected()
        rig.fake.fail("POST", "/callback", "500", times=50)
        command = rig.fake.command("reset", room="general")
        await rig.until_replies(lambda texts: len(texts) == 1, room="general")
        assert command.original is None


async def test_stop_ends_the_answer_and_says_so(store: Store) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine(delay=0.1)):
        await rig.direct("word " * 500)
        await rig.until_replies(lambda texts: "word" in " ".join(texts))
        rig.fake.command("stop")
        await rig.until_replies(lambda texts: "Stopped" in texts[-1])


async def test_room_in_which_the_bot_may_not_write_ends_the_turn_there(store: Store) -> None:
    async with DiscordRig(store) as rig, running(rig.adapter, store=store, engine=ScriptedEngine()):
        fake: FakeDiscord = rig.fake
        fake.world.room("general").forbidden = "write"
        await rig.addressed("hello")
        await fake.until(lambda: len(fake.calls("POST", "/messages")) == 1)
        fake.world.room("general").forbidden = ""
        await rig.addressed("again")
        await rig.until_replies(lambda texts: texts == ["You said: again"], room="general")
