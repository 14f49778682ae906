"""Accounts on two platforms that are one person's: both bots in one process, each over its own wire."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest

from core import notices
from core.store.store import Store
from core.turns import Turn
from tests.contracts.discord_rig import DiscordRig
from tests.contracts.rig import DeletingRig, Rig
from tests.contracts.slack_rig import SlackRig
from tests.contracts.telegram_rig import TelegramRig
from tests.contracts.test_actions import WITH_BUTTONS, Counting, said, shows
from tests.core.rooms import Mirror
from tests.running import running

_PAIRS = [(DiscordRig, TelegramRig), (TelegramRig, SlackRig), (SlackRig, DiscordRig)]


class Wide(Mirror):
    context = 100_000


@pytest.fixture(params=_PAIRS, ids=lambda pair: "-".join(rig.__name__ for rig in pair))
async def rigs(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[tuple[Rig, Rig]]:
    async with AsyncExitStack() as stack:
        here, there = [await stack.enter_async_context(rig(store)) for rig in request.param]
        yield here, there


async def code_from(rig: Rig, person: str = "ann") -> str:
    await rig.command("link", person=person)
    await rig.until_said("within ten minutes", person=person)
    codes: list[str] = re.findall(r"\b[A-Z2-9]{4}-[A-Z2-9]{4}\b", " ".join(rig.heard(person=person)))
    return codes[-1]


async def link(here: Rig, there: Rig) -> None:
    await there.command("link", await code_from(here))
    await there.until_said("as one person")


async def people(store: Store) -> list[Sequence[Turn]]:
    """The conversations that are on several platforms."""
    found = [each async for each in store.memory.conversations() if each.platform == "people"]
    return [await store.memory.turns(each, 100) for each in found]


async def test_private_chats_are_one_conversation_and_are_parted_again(
    rigs: tuple[Rig, Rig], store: Store
) -> None:
    here, there = rigs
    async with running(here.adapter, there.adapter, store=store, engine=Wide(), dialogue=WITH_BUTTONS):
        await here.direct("an old story")
        await here.until_said("user: an old story")
        await link(here, there)
        await here.direct("my dog is Rex")
        await here.until_said("user: my dog is Rex")
        await there.direct("and my cat is Mia")
        await there.until_said("user: my dog is Rex | assistant: ")
        await there.until_said("user: and my cat is Mia")
        assert not any("an old story" in text for text in there.heard())
        await there.command("undo")
        await there.until_said(notices.UNDONE)
        await here.direct("who is my cat")
        await here.until_said("user: who is my cat")
        assert not any("Mia" in text for text in here.heard() if "who is my cat" in text)
        await there.command("link", "off")
        await there.until_said(notices.LINK_OFF)
        await there.direct("alone again")
        await there.until_said("user: alone again")
        assert not any("Rex" in text for text in there.heard() if "alone again" in text)
    [turns] = await people(store)
    assert [turn.text for turn in turns if turn.role == "user"] == ["my dog is Rex", "who is my cat"]


async def test_answer_is_made_anew_where_it_stands_whichever_account_had_asked(
    rigs: tuple[Rig, Rig], store: Store
) -> None:
    here, there = rigs
    async with running(here.adapter, there.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        await link(here, there)
        await here.direct("hello")
        await here.until_said(said("hello", 1))
        await there.command("retry")
        await there.until_said(said("hello", 2))
        assert not any(said("hello", 2) in text for text in here.heard())
        message = await there.direct("helo")
        await there.until_said(said("helo", 3))
        await here.direct("more")
        await here.until_said(said("more", 4))
        await there.edit(message, "hola")
        await there.until_said(said("hola", 5))
    [turns] = await people(store)
    assert [turn.text for turn in turns] == ["hello", said("hello", 2), "hola", said("hola", 5)]


@pytest.mark.parametrize("rigs", [(TelegramRig, DiscordRig), (TelegramRig, SlackRig)], indirect=True)
async def test_what_is_deleted_in_a_private_chat_is_forgotten(rigs: tuple[Rig, DeletingRig], store: Store) -> None:
    here, there = rigs
    async with running(here.adapter, there.adapter, store=store, engine=Counting()):
        await link(here, there)
        message = await there.direct("my secret")
        await there.until_said(said("my secret", 1))
        await here.direct("more")
        await here.until_said(said("more", 2))
        await there.delete(message)
        async with asyncio.timeout(20):
            # The store tells nobody of what is forgotten.
            while len((await people(store))[0]) > 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    [turns] = await people(store)
    assert [turn.text for turn in turns] == ["more", said("more", 2)]


async def test_code_is_for_private_chats_and_for_another_account(rigs: tuple[Rig, Rig], store: Store) -> None:
    here, there = rigs
    async with running(here.adapter, there.adapter, store=store, engine=Counting()):
        await here.command("link", room="general")
        await here.until_said(notices.LINK_PRIVATE, room="general")
        code = await code_from(here)
        await here.command("link", code)
        await here.until_said(notices.LINK_OWN)
        await there.command("link", code.lower().replace("-", " "), person="bob")
        await there.until_said("as one person", person="bob")
        await there.command("link", code, person="ann")
        await there.until_said(notices.LINK_UNKNOWN, person="ann")


async def test_what_was_said_with_joined_accounts_is_forgotten_together(
    rigs: tuple[Rig, Rig], store: Store
) -> None:
    here, there = rigs
    async with running(here.adapter, there.adapter, store=store, engine=Counting()):
        await there.direct("before")
        await shows(there, said("before", 1))
        await there.direct("bob's own", person="bob")
        await there.until_said(said("bob's own", 2), person="bob")
        await link(here, there)
        await here.direct("my secret")
        await here.until_said(said("my secret", 3))
        await there.direct("another")
        await there.until_said(said("another", 4))
        await here.command("forget")
        await here.until_said("joined with this one are included")
        await here.command("forget", "everything")
        await here.until_said("joined no more")
        await here.until_said("in 2 conversations")
    conversations = [each async for each in store.memory.conversations()]
    turns = [turn for each in conversations for turn in await store.memory.turns(each, 9)]
    assert [turn.text for turn in turns] == ["bob's own", said("bob's own", 2)]
