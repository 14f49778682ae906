"""Looking after what is remembered, on a real server."""

from core.store.store import Store
from core.turns import Conversation
from tests.core.store.events import CONVERSATION, ROOM, an_event
from tests.core.store.steps import accept, answer, take


async def test_every_conversation_is_listed_once(store: Store) -> None:
    conversations = {Conversation.of(ROOM, f"{i}:t:{{x}}", f"topic/{i}") for i in range(30)}
    for conversation in conversations:
        await accept(store, an_event(conversation=conversation))
        await answer(store)
    listed = [conversation async for conversation in store.memory.conversations()]
    assert len(listed) == len(conversations)
    assert set(listed) == conversations


async def test_export_yields_every_turn_in_order(store: Store) -> None:
    for i in range(3):
        await accept(store, an_event(f"{i}"))
        await answer(store, f"answer {i}")
    exported = [(conversation, turn.text) async for conversation, turn in store.memory.export()]
    assert exported == [(CONVERSATION, text) for text in ("0", "answer 0", "1", "answer 1", "2", "answer 2")]


async def test_forgetting_leaves_the_mailbox_and_other_conversations(store: Store) -> None:
    other = Conversation.of(ROOM, "other")
    for conversation in (CONVERSATION, other):
        await accept(store, an_event("old", conversation=conversation))
        await answer(store)
    await accept(store, an_event("waiting"))
    await store.memory.forget(CONVERSATION)
    assert [conversation async for conversation in store.memory.conversations()] == [other]
    claim = await take(store)
    assert (claim.event.text, claim.window, claim.last) == ("waiting", [], 2)


async def test_a_conversation_forgotten_while_it_is_answered_goes_on(store: Store) -> None:
    await accept(store, an_event("one"))
    await answer(store)
    await accept(store, an_event("two"))
    claim = await take(store)
    await store.memory.forget(CONVERSATION)
    await store.claims.complete(claim, turns=(), text="", window=1)
    await store.claims.delivered(claim)
    await accept(store, an_event("three"))
    await answer(store)
    assert [turn.number for turn in await store.memory.turns(CONVERSATION, 9)] == [3, 4]


async def test_nobody_is_remembered_at_first(store: Store) -> None:
    assert [turn async for turn in store.memory.export()] == []
    assert await store.memory.turns(CONVERSATION, 5) == []
