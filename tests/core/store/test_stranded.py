"""Mail for bots for which nobody answers, on a real server."""

from dataclasses import replace

import pytest

from core.scope import PEOPLE
from core.store.store import Store
from core.store.stranded import PAGE, Stranded
from core.turns import Conversation, Event, Room
from tests.core.store.events import CONVERSATION, an_event
from tests.core.store.steps import accept, answer, complete, take

GONE = Room("gone", "bot1", {})
LINKED = Conversation(f"{PEOPLE}/l/private")


def to_gone(text: str = "hello", *, chat: str = "chat", **change: object) -> Event:
    event = an_event(text, room=GONE, conversation=Conversation.of(GONE, chat))
    return replace(event, **change)  # type: ignore[arg-type]


def linked(event: Event) -> Event:
    return replace(event, conversation=LINKED, home=event.conversation)


@pytest.fixture
def stranded(store: Store) -> Stranded:
    return Stranded(store.client, ["web", "gone"], lambda conversation: conversation.account == "web/bot1")


async def found(stranded: Stranded) -> dict[str, int]:
    return {waiting.account: waiting.count for waiting in await stranded.look()}


async def test_what_waits_for_a_bot_is_counted_from_the_first_on(store: Store, stranded: Stranded) -> None:
    before = (await store.client.read(lambda redis: redis.time()))[0]
    await accept(store, an_event(), to_gone(), to_gone(), to_gone(kind="help"))
    for number in range(2 * PAGE):
        await accept(store, to_gone(chat=f"chat {number}"))
    other = replace(GONE, bot="bot2")
    await accept(store, an_event(room=other, conversation=Conversation.of(other, "chat")))
    first, second = await stranded.look()
    assert (first.account, first.count) == ("gone/bot1", 3 + 2 * PAGE)
    assert (second.account, second.count) == ("gone/bot2", 1)
    assert before <= first.since <= second.since <= before + 60


async def test_what_is_dropped_waits_no_more_and_nothing_else_goes(store: Store, stranded: Stranded) -> None:
    await accept(store, an_event("stays"), to_gone("answered"))
    claim = await take(store, ["gone"])
    await complete(store, claim)
    await store.claims.delivered(claim)
    await accept(store, to_gone("one"), to_gone("two"), to_gone(kind="help"))
    assert await stranded.drop("gone/bot2") == 0
    assert await stranded.drop("gone/bot1") == 3
    assert await stranded.look() == []
    assert await stranded.drop("gone/bot1") == 0
    assert await store.claims.take(["gone"], 1, wait=0.01) == []
    assert await store.control.take(["gone"], 1, wait=0.01) == []
    turns = await store.memory.turns(Conversation.of(GONE, "chat"), 9)
    assert [turn.text for turn in turns] == ["answered", "yes"]
    assert (await answer(store)).event.text == "stays"


async def test_reply_that_was_never_brought_to_its_room_counts_too(store: Store, stranded: Stranded) -> None:
    await accept(store, to_gone("one"), to_gone("two"))
    await complete(store, await take(store, ["gone"]))
    assert await found(stranded) == {"gone/bot1": 2}
    assert await stranded.drop("gone/bot1") == 2
    assert await found(stranded) == {}


async def test_in_a_conversation_on_several_platforms_the_others_messages_are_answered(
    store: Store, stranded: Stranded
) -> None:
    here = replace(an_event("here"), conversation=LINKED, home=CONVERSATION)
    await accept(store, linked(to_gone("there")), here, linked(to_gone("there again")))
    await store.claims.pass_on(await take(store, [PEOPLE]))
    assert await found(stranded) == {"gone/bot1": 2}
    assert await stranded.drop("gone/bot1") == 2
    assert await found(stranded) == {}
    claim = await take(store, [PEOPLE])
    assert claim.event.text == "here"
    await complete(store, claim)
    await store.claims.delivered(claim)
    assert await store.claims.take([PEOPLE, "gone"], 1, wait=0.01) == []
