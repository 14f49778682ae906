"""What a step leaves in memory, and the next claim finds there: turns, their window, personas."""

from dataclasses import replace

import pytest

from core.errors import LeaseLost
from core.store.client import StoreSettings
from core.store.forget import Forget
from core.store.store import Store, open_store
from core.store.taking import WIDEST_WINDOW
from core.turns import Conversation, Turn
from tests.core.store.events import CONVERSATION, ROOM, an_event, two_turns
from tests.core.store.steps import accept, answer, complete, take


async def test_the_window_begins_where_complete_said(store: Store) -> None:
    for i in range(6):
        await accept(store, an_event(f"{i}"))
        await answer(store, window=7)
    await accept(store, an_event())
    claim = await take(store)
    assert [turn.number for turn in claim.window] == [7, 8, 9, 10, 11, 12]
    assert claim.last == 12


async def test_an_unknown_window_is_the_last_turns(store: Store) -> None:
    await accept(store, an_event())
    claim = await take(store)
    turns = [Turn(number=i + 1, role="user", text=f"{i}") for i in range(WIDEST_WINDOW + 10)]
    await store.claims.complete(claim, turns=turns, text="", window=None)
    await store.claims.delivered(claim)
    await accept(store, an_event())
    assert [turn.number for turn in (await take(store)).window] == list(range(11, WIDEST_WINDOW + 11))


async def test_memory_keeps_the_last_turns_and_the_window_follows(store_settings: StoreSettings) -> None:
    async with open_store(replace(store_settings, max_turns=4)) as store:
        for i in range(5):
            await accept(store, an_event(f"{i}"))
            await answer(store, window=9 if i == 4 else 1)
        assert [turn.number for turn in await store.memory.turns(CONVERSATION, 99)] == [7, 8, 9, 10]
        await accept(store, an_event())
        assert [turn.number for turn in (await take(store)).window] == [9, 10]


async def test_a_reset_forgets_turns_and_numbers_go_on(store: Store) -> None:
    await accept(store, an_event("hello"))
    await answer(store)
    await accept(store, an_event(kind="reset"), an_event("who am I?"))
    claim = await take(store)
    await store.claims.complete(claim, turns=(), text="Forgotten.", window=None, clear=True)
    await store.claims.delivered(claim)
    claim = await take(store)
    assert (claim.window, claim.last) == ([], 2)
    await complete(store, claim, window=3)
    await store.claims.delivered(claim)
    assert [turn.number for turn in await store.memory.turns(CONVERSATION, 9)] == [3, 4]


async def test_a_persona_holds_for_all_threads_of_a_place_and_no_other(store: Store) -> None:
    thread, elsewhere = Conversation.of(ROOM, 7, "t1"), Conversation.of(ROOM, 8)
    await accept(store, an_event("a pirate", kind="persona"))
    claim = await take(store)
    assert claim.persona is None
    await store.claims.complete(claim, turns=(), text="Set.", window=None, persona="a pirate")
    await store.claims.delivered(claim)
    await accept(store, an_event(conversation=thread))
    assert (await take(store)).persona == "a pirate"
    await accept(store, an_event(conversation=elsewhere))
    assert (await take(store)).persona is None


async def test_an_empty_persona_is_the_default_again(store: Store) -> None:
    for persona in ("a pirate", ""):
        await accept(store, an_event(persona, kind="persona"))
        claim = await take(store)
        await store.claims.complete(claim, turns=(), text="", window=None, persona=persona)
        await store.claims.delivered(claim)
    await accept(store, an_event())
    assert (await take(store)).persona is None


async def test_turns_come_back_as_they_were(store: Store) -> None:
    await accept(store, an_event("שלום 👋\n\n```"))
    claim = await take(store)
    turns = [replace(turn, cut="stopped", tokenizer="t") for turn in two_turns(claim.event, "x", last=0)]
    await store.claims.complete(claim, turns=turns, text="x", window=1)
    await store.claims.delivered(claim)
    await accept(store, an_event())
    assert (await take(store)).window == turns


async def test_turns_that_do_not_follow_memory_are_a_mistake(store: Store) -> None:
    await accept(store, an_event())
    claim = await take(store)
    with pytest.raises(AssertionError):
        await store.claims.complete(claim, turns=[Turn(number=5, role="user", text="")], text="", window=None)


async def test_answer_is_remembered_as_it_stands_in_the_room(store: Store) -> None:
    await accept(store, an_event("hello"))
    claim = await take(store)
    await complete(store, claim, "yes, of course")
    await store.claims.delivered(claim, instead=replace(claim.window[-1], text="yes,", cut="failed"))
    asked, answered = await store.memory.turns(CONVERSATION, 9)
    assert (asked.text, answered.text, answered.cut) == ("hello", "yes,", "failed")


async def test_what_was_forgotten_while_it_was_delivered_stays_forgotten(store: Store) -> None:
    await accept(store, an_event())
    claim = await take(store)
    await complete(store, claim)
    await Forget(store.client, store.inbox).conversation(CONVERSATION)
    with pytest.raises(LeaseLost):
        await store.claims.delivered(claim, instead=replace(claim.window[-1], text="y"))
    assert await store.memory.turns(CONVERSATION, 9) == []
