"""What a model is told besides the words: who speaks, and what they refer to; over each platform's own wire."""

from collections.abc import AsyncIterator

import pytest

from core.commands import ABOUT_THIS
from core.dialogue import DialogueSettings
from core.store.forget import Forget, Person
from core.store.store import Store
from tests.contracts.attentive import Attentive
from tests.contracts.discord_rig import DiscordRig
from tests.contracts.rig import AskingRig, Rig
from tests.contracts.slack_rig import SlackRig
from tests.contracts.telegram_rig import TelegramRig
from tests.running import running


@pytest.fixture(params=[DiscordRig, SlackRig, TelegramRig], ids=lambda rig: rig.__name__)
async def rig(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[Rig]:
    async with request.param(store) as rig:
        yield rig


@pytest.fixture(params=[DiscordRig, SlackRig], ids=lambda rig: rig.__name__)
async def asking(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[AskingRig]:
    async with request.param(store) as rig:
        yield rig


REGENERATE = "🔄 Regenerate"


def said(text: str) -> str:
    return f"You said: {text}"


async def test_people_in_a_room_are_told_apart_and_one_who_is_alone_needs_no_name(rig: Rig, store: Store) -> None:
    engine = Attentive()
    async with running(rig.adapter, store=store, engine=engine):
        await rig.addressed("hello", person="ann")
        await rig.until_replies(lambda texts: texts == [said("hello")], room="general")
        assert engine.asked == ["Ann: hello"]
        await rig.direct("and here", person="ann")
        await rig.until_replies(lambda texts: texts == [said("and here")], person="ann")
        assert engine.asked == ["and here"]


async def test_message_that_is_referred_to_is_known(rig: Rig, store: Store) -> None:
    engine = Attentive()
    async with running(rig.adapter, store=store, engine=engine):
        other = await rig.overheard("the sky is\ngreen", person="bob")
        await rig.about("is that so?", other, person="ann")
        await rig.until_replies(lambda texts: texts == [said("is that so?")], room="general")
    assert engine.asked == ["> Bob: the sky is\n> green\n\nAnn: is that so?"]


async def test_message_that_is_asked_about_in_its_menu_is_what_the_question_quotes(
    asking: AskingRig, store: Store
) -> None:
    engine = Attentive()
    async with running(asking.adapter, store=store, engine=engine):
        other = await asking.overheard("the sky is green", person="bob")
        await asking.ask(other, person="ann")
        await asking.until_replies(lambda texts: texts == [said(ABOUT_THIS)], room="general")
    assert engine.asked == [f"> Bob: the sky is green\n\nAnn: {ABOUT_THIS}"]


async def test_what_was_asked_in_a_menu_can_be_answered_anew(asking: AskingRig, store: Store) -> None:
    with_buttons = DialogueSettings(window=1_000_000, controls=True)
    async with running(asking.adapter, store=store, engine=Attentive(), dialogue=with_buttons):
        await asking.ask(await asking.overheard("the sky is green", person="bob"), person="ann")
        await asking.until_replies(
            lambda texts: bool(texts) and REGENERATE in asking.controls(room="general"), room="general"
        )
        await asking.press(REGENERATE, person="ann", room="general")
        await asking.until_replies(lambda _: "2/2" in asking.controls(room="general"), room="general")


async def test_what_is_referred_to_is_forgotten_with_who_said_it(rig: Rig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Attentive()):
        other = await rig.overheard("bob's secret", person="bob")
        await rig.about("is that so?", other, person="ann")
        await rig.until_replies(lambda texts: texts == [said("is that so?")], room="general")
    [conversation] = [each async for each in store.memory.conversations()]
    [asked, _] = await store.memory.turns(conversation, 10)
    [quote] = asked.quotes
    await Forget(store.client, store.inbox).person(Person(conversation.platform, quote.speaker.id))
    turns = await store.memory.turns(conversation, 10)
    assert [turn.text for turn in turns] == ["is that so?", said("is that so?")]
    assert not turns[0].quotes
