"""Looking at what is remembered, on a real server."""

from core.store.store import Store
from core.turns import Conversation
from tests.core.store.events import CONVERSATION, ROOM, an_event
from tests.core.store.steps import accept, answer


async def test_every_conversation_is_listed(store: Store) -> None:
    conversations = {Conversation.of(ROOM, f"{i}:t:{{x}}", f"topic/{i}") for i in range(30)}
    for conversation in conversations:
        await accept(store, an_event(conversation=conversation))
        await answer(store)
    assert {conversation async for conversation in store.memory.conversations()} == conversations


async def test_nobody_is_remembered_at_first(store: Store) -> None:
    assert [conversation async for conversation in store.memory.conversations()] == []
    assert await store.memory.turns(CONVERSATION, 5) == []
