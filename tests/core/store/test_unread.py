"""Records that nobody can read hold up nobody."""

import pytest

from core.store.store import Store
from core.store.taking import READINGS
from core.store.unread import Found, Unread
from core.summary import Summaries
from core.turns import Conversation
from tests.core.store.events import CONVERSATION, ROOM, an_event
from tests.core.store.steps import accept, answer, complete, nothing_is_ready, take


async def make_unreadable(store: Store, conversation: Conversation) -> None:
    """The next event in the conversation's mailbox is none of ours."""
    mailbox = store.client.keys.conversation("q", conversation)
    await store.client.read(lambda redis: redis.lset(mailbox, 0, b"\xc1"))


async def test_a_record_that_cannot_be_read_holds_up_nobody_else(store: Store) -> None:
    unreadable = Conversation.of(ROOM, "unreadable")
    await accept(store, an_event(conversation=unreadable))
    await make_unreadable(store, unreadable)
    assert await nothing_is_ready(store)
    await accept(store, an_event("hello"))
    assert (await take(store)).event.text == "hello"


async def test_an_event_that_nobody_can_read_is_set_aside_and_its_conversation_goes_on(
    hasty: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await accept(hasty, an_event("secret one"), an_event("two"))
    await make_unreadable(hasty, CONVERSATION)
    assert (await take(hasty)).event.text == "two"
    aside = hasty.client.keys.unreadable(CONVERSATION)
    [(_, kept)] = await hasty.client.read(lambda redis: redis.xrange(aside))
    assert kept[b"e"] == b"\xc1"
    assert caplog.text.count("cannot answer entry") == READINGS
    assert "set aside" in caplog.text
    assert "secret" not in caplog.text


async def test_an_event_that_could_not_be_read_is_answered_once_it_can_be(hasty: Store) -> None:
    await accept(hasty, an_event("one"), an_event("two"))
    mailbox = hasty.client.keys.conversation("q", CONVERSATION)
    record = await hasty.client.read(lambda redis: redis.lindex(mailbox, 0))
    newer = bytes([record[0], record[1] + 1]) + record[2:]
    await hasty.client.read(lambda redis: redis.lset(mailbox, 0, newer))
    await answer(hasty)
    unread = Unread(hasty.client, hasty.inbox)
    found = await unread.look()
    assert (found.readable, found.unreadable) == (0, 1)
    assert "newer version" in found.why
    assert await unread.retry() == 0
    aside = hasty.client.keys.unreadable(CONVERSATION)
    await hasty.client.read(lambda redis: redis.delete(aside))
    await hasty.client.read(lambda redis: redis.xadd(aside, {"c": CONVERSATION.place, "e": record}))
    assert (await unread.look()).readable == 1
    assert await unread.retry() == 1
    assert (await answer(hasty)).event.text == "one"
    assert await unread.look() == Found(0, 0, "")


async def test_persona_and_summary_that_cannot_be_read_hold_up_no_answer(store: Store) -> None:
    keys = store.client.keys
    for key, name in ((keys.place(CONVERSATION), "persona"), (keys.conversation("c", CONVERSATION), "summary")):
        await store.client.ask("HSET", key, name, b"\xc1\x7f", key=key)
    await accept(store, an_event("one"))
    claim = await take(store)
    assert (claim.persona, claim.summaries) == (None, Summaries())


async def test_a_reply_to_an_event_that_nobody_can_read_is_given_up(hasty: Store) -> None:
    await accept(hasty, an_event("one"), an_event("two"))
    await complete(hasty, await take(hasty))
    reply = hasty.client.keys.conversation("r", CONVERSATION)
    await hasty.client.read(lambda redis: redis.hset(reply, "event", b"\xc1"))
    following = await take(hasty)
    assert (following.event.text, following.phase, following.number) == ("two", "answering", 2)


async def test_turns_that_cannot_be_read_are_left_out(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    await accept(store, an_event("one"))
    await answer(store, "yes")
    memory = store.client.keys.conversation("t", CONVERSATION)
    await store.client.read(lambda redis: redis.lset(memory, 0, b"\xc1"))
    await accept(store, an_event("two"))
    claim = await answer(store, "no")
    assert [turn.text for turn in claim.window] == ["yes", "two", "no"]
    assert [turn.text for turn in await store.memory.turns(CONVERSATION, 9)] == ["yes", "two", "no"]
    assert [turn.number for turn in await store.memory.turns(CONVERSATION, 9)] == [2, 3, 4]
    assert "1 records of" in caplog.text
