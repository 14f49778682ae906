"""What can be asked for by name, on each platform with rooms: over its own wire, on the loopback fakes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from core import notices
from core.commands import MODEL, commands, offering
from core.engine.engine import NOBODY, Caller, Completion, Message, Params
from core.engine.scripted import ScriptedEngine
from core.languages import translated
from core.store.consents import Consents
from core.store.forget import Person
from core.store.store import Store
from core.turns import Turn
from tests.contracts.discord_rig import DiscordRig
from tests.contracts.rig import Rig
from tests.contracts.slack_rig import SlackRig
from tests.contracts.telegram_rig import TelegramRig
from tests.contracts.test_actions import WITH_BUTTONS, Counting, remembered, said, shows
from tests.running import running


@pytest.fixture(params=[DiscordRig, SlackRig, TelegramRig], ids=lambda rig: rig.__name__)
async def rig(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[Rig]:
    async with request.param(store) as rig:
        yield rig


async def words(store: Store) -> list[str]:
    return [turn.text for turn in await remembered(store)]


async def test_help_names_every_command(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.command("help")
        for command in commands():
            await rig.until_said(command.name)


@pytest.mark.parametrize(
    ("rig", "lacks"),
    [(SlackRig, "no button of mine can stand under it"), (TelegramRig, "of messages that are deleted")],
    indirect=["rig"],
)
async def test_help_says_what_is_not_to_be_had_there(rig: Rig, store: Store, lacks: str) -> None:
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.command("help")
        await rig.until_said(lacks)


async def test_last_message_is_answered_anew(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        await rig.direct("hello")
        await shows(rig, said("hello", 1))
        await rig.command("retry")
        await shows(rig, said("hello", 1), said("hello", 2))
        await rig.press("◀")
        await shows(rig, said("hello", 1), said("hello", 1))
    assert await words(store) == ["hello", said("hello", 1)]


async def test_nothing_is_answered_anew_before_the_first_message(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting()):
        await rig.command("retry")
        await rig.until_said(notices.NOT_REMEMBERED)


async def test_last_message_is_taken_back_and_the_one_before_it(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting()):
        await rig.direct("one")
        await shows(rig, said("one", 1))
        await rig.direct("two")
        await shows(rig, said("one", 1), said("two", 2))
        await rig.command("undo")
        await rig.until_said(notices.UNDONE)
        assert await words(store) == ["one", said("one", 1)]
        await rig.direct("three")
        await rig.until_said(said("three", 3))
        assert [turn.number for turn in await remembered(store)] == [1, 2, 3, 4]
        for _ in range(2):
            await rig.command("undo")
        await rig.command("undo")
        await rig.until_said(notices.NOTHING_TO_UNDO)
    assert [each async for each in store.memory.conversations()] == []


# On Slack each message in a channel begins a conversation of its own.
@pytest.mark.parametrize("rig", [DiscordRig, TelegramRig], indirect=True)
async def test_only_who_asked_takes_it_back(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting()):
        await rig.addressed("hello", person="ann")
        await rig.until_said(said("hello", 1), room="general")
        await rig.command("undo", person="bob", room="general")
        await rig.until_said(notices.NOT_YOURS, room="general")
    assert await words(store) == ["hello", said("hello", 1)]


async def test_numbers_of_a_conversation(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.command("stats")
        await rig.until_said(notices.STATS_NOTHING)
        await rig.direct("hello")
        await rig.until_said("You said: hello")
        await rig.command("stats")
        await rig.until_said("I remember 2 messages")


async def test_conversation_is_told_word_by_word(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting()):
        await rig.command("export")
        await rig.until_said(notices.STATS_NOTHING)
        await rig.direct("how are you")
        await rig.until_said(said("how are you", 1))
        await rig.command("export")
        await rig.until_said(" UTC)")


async def test_bot_speaks_the_language_that_was_chosen(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.command("language", "zh")
        await rig.until_said(translated(notices.SET, "en"))
        await rig.command("reset")
        await rig.until_said(translated(notices.RESET, "zh"))
        await rig.command("stats")
        await rig.until_said(translated(notices.STATS_NOTHING, "zh"))
        await rig.command("language", "tlh")
        await rig.until_said(translated(notices.NO_SETTING, "zh"))


async def test_who_manages_a_room_sets_what_holds_there(rig: Rig, store: Store) -> None:
    rig.promote("bob")
    async with running(rig.adapter, store=store, engine=ScriptedEngine()):
        await rig.command("busy", "collect", person="ann", room="general")
        await rig.until_said(notices.NOT_THEIRS_TO_SET, room="general")
        await rig.command("busy", "collect", person="bob", room="general")
        await rig.until_said(notices.SET, room="general")


async def test_person_is_forgotten_everywhere_and_others_are_not(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting()):
        await rig.direct("my secret", person="ann")
        await rig.until_said(said("my secret", 1), person="ann")
        await rig.addressed("another secret", person="ann")
        await rig.until_said(said("another secret", 2), room="general")
        await rig.direct("bob's own", person="bob")
        await rig.until_said(said("bob's own", 3), person="bob")
        await rig.command("forget")
        await rig.until_said("cannot be undone")
        assert "my secret" in await everything(store), "not by mistake"
        await rig.command("forget", "everything")
        await rig.until_said(notices.FORGOTTEN.format(count=2))
    assert await everything(store) == ["bob's own", said("bob's own", 3)]


async def everything(store: Store) -> list[str]:
    turns: list[Turn] = []
    async for conversation in store.memory.conversations():
        turns += await store.memory.turns(conversation, 100)
    return [turn.text for turn in turns]


async def test_people_agree_by_their_own_word(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting()):
        await rig.direct("hello")
        await rig.until_said(said("hello", 1))
        [conversation] = [each async for each in store.memory.conversations()]
        [asked, _] = await store.memory.turns(conversation, 2)
        assert asked.speaker is not None
        ann, bob = Person(conversation.platform, asked.speaker.id), Person(conversation.platform, "bob")
        consents = Consents(store.client)
        await rig.command("consent")
        await rig.until_said("you can change your mind")
        assert await consents.agreed(frozenset({bob})) == {bob}
        await rig.command("consent", "yes")
        await rig.until_said(notices.AGREED)
        assert await consents.agreed(frozenset({bob})) == {ann, bob}
        await rig.command("consent", "no")
        await rig.until_said(notices.NOT_AGREED)
        assert await consents.agreed(frozenset({ann, bob})) == {bob}, "the last word is theirs"
        await rig.command("forget", "everything")
        await rig.until_said(notices.FORGOTTEN.format(count=1))
        assert await consents.agreed(frozenset({ann})) == {ann}, "it is not known that they said anything"


async def test_persona_is_chosen_by_its_name(rig: Rig, store: Store) -> None:
    dialogue = replace(WITH_BUTTONS, personas={"pirate": "You are a pirate."})
    async with running(rig.adapter, store=store, engine=ScriptedEngine(), dialogue=dialogue):
        await rig.command("persona", "pirate")
        await rig.until_said(notices.PERSONA_SET)
        await rig.direct("hello")
        await rig.until_said("hello")
        [conversation] = [each async for each in store.memory.conversations()]
        persona = await store.client.ask(
            "HGET", store.client.keys.place(conversation), "persona", key=store.client.keys.place(conversation)
        )
    assert b"You are a pirate." in persona


class Shouting(ScriptedEngine):
    """Another model."""

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        loud = [*messages[:-1], Message("user", messages[-1].text.upper())]
        async with super().generate(loud, params, caller) as completion:
            yield completion


async def test_place_chooses_one_of_the_operators_models(rig: Rig, store: Store) -> None:
    models = {"loud": Shouting()}
    with offering(replace(MODEL, choices=("default", *models))):
        async with running(rig.adapter, store=store, engine=ScriptedEngine(), models=models):
            await rig.command("model", "loud")
            await rig.until_said(notices.SET)
            await rig.direct("hello")
            await rig.until_said("You said: HELLO")
            await rig.command("model", "nobody")
            await rig.until_said(notices.NO_SETTING)
            await rig.command("model", "default")
            await rig.until_replies(lambda texts: texts.count(notices.SET) == 2)
            await rig.direct("again")
            await rig.until_said("You said: again")
