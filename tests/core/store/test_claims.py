"""Leases and the steps of a turn, on a real server."""

import asyncio
from dataclasses import replace

import pytest

from core.errors import LeaseLost, StoreUnavailable
from core.store.claim import Claim
from core.store.client import StoreSettings
from core.store.forget import Forget
from core.store.scripts import ScriptName
from core.store.store import Store, open_store
from core.store.taking import READINGS, WIDEST_WINDOW
from core.store.unread import Found, Unread
from core.summary import Summaries
from core.turns import Conversation, Part, Room, Turn
from tests.core.store.events import CONVERSATION, ROOM, an_event, two_turns
from tests.core.store.lossy import Lossy
from tests.core.store.steps import accept, answer, complete, eventually, take, take_over


async def nothing_is_ready(store: Store) -> bool:
    return await store.claims.take(["web"], 4, wait=0.01) == []


async def test_an_accepted_message_is_claimed_completed_and_delivered(store: Store) -> None:
    event = an_event("what is the time?")
    await accept(store, event)
    claim = await take(store)
    assert (claim.event, claim.number, claim.phase, claim.window, claim.tries) == (event, 1, "answering", [], 1)
    await store.claims.showing(claim, 0, "noon", 4, final=False)
    await store.claims.shown(claim, 0, "m1")
    turns = two_turns(event, "noon", last=0)
    await store.claims.complete(claim, turns=turns, text="noon", window=1)
    assert claim.phase == "delivering"
    await store.claims.delivered(claim)
    assert await store.memory.turns(CONVERSATION, 10) == turns
    assert await nothing_is_ready(store)


async def test_a_conversation_has_one_owner_at_a_time(store: Store, store_settings: StoreSettings) -> None:
    await accept(store, an_event("one"), an_event("two"))
    await take(store)
    async with open_store(store_settings) as other:
        assert await nothing_is_ready(other)
        assert await other.claims.take_stale(["web"], 4) == []


async def test_messages_of_a_conversation_are_answered_one_by_one_in_order(store: Store) -> None:
    events = [an_event(f"number {i}") for i in range(5)]
    await accept(store, *events)
    claims = [await answer(store) for _ in events]
    assert [claim.event for claim in claims] == events
    assert [claim.number for claim in claims] == [1, 2, 3, 4, 5]
    assert await nothing_is_ready(store)


async def test_different_conversations_are_claimed_together(store: Store) -> None:
    conversations = [Conversation.of(ROOM, place) for place in range(20)]
    await accept(store, *(an_event(conversation=conversation) for conversation in conversations))
    claims: list[Claim] = []

    async def all_taken() -> bool:
        claims.extend(await store.claims.take(["web"], 20 - len(claims), wait=0.1))
        return len(claims) == len(conversations)

    await eventually(all_taken)
    assert {claim.conversation for claim in claims} == set(conversations)


async def test_no_more_conversations_are_claimed_than_asked_for(store: Store) -> None:
    await accept(store, *(an_event(conversation=Conversation.of(ROOM, place)) for place in range(40)))
    seen: list[int] = []

    async def all_taken() -> bool:
        seen.append(len(await store.claims.take(["web"], 3, wait=0.1)))
        return sum(seen) == 40

    await eventually(all_taken)
    assert max(seen) <= 3


async def test_a_worker_is_given_only_platforms_that_it_can_deliver_to(store: Store) -> None:
    slack = Room("slack", "bot1", {})
    await accept(store, an_event(room=slack, conversation=Conversation.of(slack, 1)))
    assert await nothing_is_ready(store)
    assert (await take(store, ["slack", "web"])).event.room.platform == "slack"


async def test_taking_for_no_platform_waits_and_finds_nothing(store: Store) -> None:
    assert await store.claims.take([], 4, wait=0.01) == []


async def test_a_takeover_goes_on_with_the_parts_that_were_recorded(hasty: Store, heir: Store) -> None:
    await accept(hasty, an_event())
    first = await take(hasty)
    await hasty.claims.showing(first, 0, "once upon", 9, final=False)
    await hasty.claims.shown(first, 0, "m1")
    await hasty.claims.showing(first, 0, "once upon a time", 16, final=False)
    await hasty.claims.showing(first, 1, " there was", 26, final=False)
    second = await take_over(heir)
    assert second.parts == [Part("once upon a time", 16, "m1"), Part(" there was", 26, None)] == first.parts
    assert (second.event, second.phase, second.tries) == (first.event, "answering", 2)
    assert second.fence > first.fence


async def test_after_a_takeover_no_step_of_the_former_holder_works(hasty: Store, heir: Store) -> None:
    await accept(hasty, an_event())
    claim = await take(hasty)
    await hasty.claims.showing(claim, 0, "a", 1, final=False)
    await take_over(heir)
    with pytest.raises(LeaseLost):
        await hasty.claims.showing(claim, 0, "ab", 2, final=False)
    with pytest.raises(LeaseLost):
        await hasty.claims.shown(claim, 0, "m1")
    with pytest.raises(LeaseLost):
        await complete(hasty, claim)
    with pytest.raises(LeaseLost):
        await hasty.claims.delivered(claim)
    with pytest.raises(LeaseLost):
        await hasty.claims.release(claim)
    assert claim.lost
    assert await heir.memory.turns(CONVERSATION, 10) == []


async def test_a_takeover_after_complete_only_delivers(hasty: Store, heir: Store) -> None:
    event = an_event()
    await accept(hasty, event, an_event("later"))
    await complete(hasty, await take(hasty), "the answer")
    claim = await take_over(heir)
    assert (claim.phase, claim.event, claim.number, claim.text) == ("delivering", event, 1, "the answer")
    await heir.claims.delivered(claim)
    assert (await take(heir)).event.text == "later"
    assert len(await heir.memory.turns(CONVERSATION, 10)) == 2


async def test_own_claims_that_were_never_answered_are_taken_again(hasty: Store) -> None:
    await accept(hasty, an_event())
    first = await take(hasty)
    again = await take(hasty)
    assert (again.event, again.tries) == (first.event, 2)


async def test_beating_keeps_a_claim_beyond_its_lease(hasty: Store, heir: Store) -> None:
    await accept(hasty, an_event())
    claim = await take(hasty)
    ends = claim.deadline

    async def outlived() -> bool:
        await hasty.claims.beat([claim])
        return claim.deadline > ends + 3 * hasty.claims.lease

    await eventually(outlived)
    assert not claim.lost
    await complete(hasty, claim)


async def test_a_beat_keeps_the_ready_entry_from_becoming_stale(store: Store) -> None:
    await accept(store, an_event())
    claim = await take(store)
    entry = claim.entry

    async def idle(*age: object) -> int:
        claimed = ("XCLAIM", entry.stream, "workers", "worker", 0, entry.id, *age)
        if age:
            await store.client.read(lambda redis: redis.execute_command(*claimed))
        pending = await store.client.read(lambda redis: redis.xpending_range(entry.stream, "workers", "-", "+", 1))
        milliseconds: int = pending[0]["time_since_delivered"]
        return milliseconds

    assert await idle("IDLE", 100_000) >= 100_000
    await store.claims.beat([claim])
    assert await idle() < 100_000


async def test_a_beat_finds_out_which_leases_are_lost(hasty: Store, heir: Store) -> None:
    place = Conversation.of(ROOM, "other")
    await accept(hasty, an_event())
    lost = await take(hasty)
    await take_over(heir)
    await accept(hasty, an_event(conversation=place))
    held = await take(hasty)
    await hasty.claims.beat([lost, held])
    assert (lost.lost, held.lost) == (True, False)


async def test_showing_renews_the_lease(store: Store) -> None:
    await accept(store, an_event())
    claim = await take(store)
    ends = claim.deadline
    await store.claims.showing(claim, 0, "a", 1, final=False)
    assert claim.deadline > ends


async def test_a_part_without_its_predecessor_is_a_mistake(store: Store) -> None:
    await accept(store, an_event())
    with pytest.raises(AssertionError):
        await store.claims.showing(await take(store), 1, "a", 1, final=False)


async def test_a_released_claim_is_anybodys_at_once(store: Store, store_settings: StoreSettings) -> None:
    await accept(store, an_event())
    claim = await take(store)
    await store.claims.showing(claim, 0, "a", 1, final=False)
    await store.claims.release(claim)
    async with open_store(store_settings) as other:
        again = await take(other)
    assert (again.event, again.tries, again.parts) == (claim.event, 2, claim.parts)


async def test_parts_and_tries_are_those_of_one_event(store: Store) -> None:
    await accept(store, an_event("one"), an_event("two"))
    claim = await take(store)
    await store.claims.release(claim)
    claim = await take(store)
    await store.claims.showing(claim, 0, "a", 1, final=True)
    await complete(store, claim)
    await store.claims.delivered(claim)
    following = await take(store)
    assert (following.event.text, following.parts, following.tries) == ("two", [], 1)


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


STEPS: list[ScriptName] = ["accept", "claim", "showing", "shown", "complete", "delivered", "beat"]


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_step_whose_request_or_answer_was_lost_happens_once(
    lossy_way: tuple[Lossy, Store], step: ScriptName, lost: str
) -> None:
    way, store = lossy_way
    event = an_event("one")
    (way.lose_request_of if lost == "request" else way.lose_answer_of)(step)
    await accept(store, event, an_event("two"))
    claim = await take(store)
    assert (claim.event, claim.tries, claim.fence) == (event, 1, 1)
    await store.claims.beat([claim])
    await store.claims.showing(claim, 0, "yes", 3, final=False)
    await store.claims.shown(claim, 0, "m1")
    assert claim.parts == [Part("yes", 3, "m1")]
    await complete(store, claim)
    await store.claims.delivered(claim)
    second = await answer(store, "no")
    assert way.lost == 1
    assert (second.event.text, second.number) == ("two", 2)
    assert [turn.text for turn in await store.memory.turns(CONVERSATION, 9)] == ["one", "yes", "two", "no"]
    assert await nothing_is_ready(store)


async def test_a_release_whose_answer_was_lost_happens_once(lossy_way: tuple[Lossy, Store]) -> None:
    way, store = lossy_way
    await accept(store, an_event())
    way.lose_answer_of("release")
    await store.claims.release(await take(store))
    claim = await take(store)
    assert (claim.tries, way.lost) == (2, 1)
    await complete(store, claim)
    await store.claims.delivered(claim)
    assert await nothing_is_ready(store)


async def test_an_answered_conversation_leaves_no_trace_of_the_turn(store: Store) -> None:
    await accept(store, an_event())
    claim = await take(store)
    await store.claims.showing(claim, 0, "yes", 3, final=True)
    await complete(store, claim)
    await store.claims.delivered(claim)
    keys = store.client.keys

    async def exists(kind: str) -> int:
        key = keys.conversation(kind, CONVERSATION)  # type: ignore[arg-type]
        count: int = await store.client.read(lambda redis: redis.exists(key))
        return count

    assert [await exists(kind) for kind in "cqtr"] == [1, 0, 1, 0]
    left = await store.client.read(lambda redis: redis.xlen(claim.entry.stream))
    assert left == 0


async def test_tries_begin_anew_when_only_the_delivery_is_left(store: Store) -> None:
    await accept(store, an_event())
    await store.claims.release(await take(store))
    claim = await take(store)
    await complete(store, claim)
    assert claim.tries == 1
    await store.claims.release(claim)
    again = await take(store)
    assert (again.phase, again.tries) == ("delivering", 2)


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


async def test_what_was_claimed_for_a_caller_who_is_gone_is_anybodys_at_once(
    lossy_way: tuple[Lossy, Store], store: Store
) -> None:
    way, remote = lossy_way
    await accept(store, an_event())
    async with asyncio.TaskGroup() as group, way.holding("claim") as is_claimed:
        taking = group.create_task(remote.claims.take(["web"], 1, wait=1))
        await is_claimed.wait()
        taking.cancel()
    assert (await take(store)).tries == 1


async def test_what_was_read_by_a_process_that_ends_is_anybodys_at_once(
    store_settings: StoreSettings, store: Store
) -> None:
    places = [Conversation.of(ROOM, f"place {number}") for number in range(20)]
    async with open_store(store_settings) as leaving:
        assert await nothing_is_ready(leaving)
        await accept(store, *(an_event(conversation=place) for place in places))
        assert len(await leaving.claims.take(["web"], 1, wait=1)) == 1
    # One is claimed, and its lease must end; the others were only read.
    taken: list[Claim] = []
    while claims := await store.claims.take(["web"], 20, wait=0.05):
        taken += claims
    taken += await store.claims.take_stale(["web"], 20)
    assert len(taken) == len(places) - 1


async def test_a_beat_that_fails_in_one_shard_renews_the_others(store: Store) -> None:
    keys = store.client.keys
    others = (Conversation.of(ROOM, f"place {i}") for i in range(100))
    other = next(one for one in others if keys.tag(one.place) != keys.tag(CONVERSATION.place))
    await accept(store, an_event(), an_event(conversation=other))
    broken, held = sorted([await take(store), await take(store)], key=lambda claim: claim.conversation == other)
    broken_key, ends = keys.conversation("c", broken.conversation), held.deadline
    await store.client.read(lambda redis: redis.set(broken_key, "no hash"))
    await store.claims.beat([broken, held])
    assert held.deadline > ends
    assert not broken.lost
    with pytest.raises(StoreUnavailable):
        await store.claims.beat([broken])
