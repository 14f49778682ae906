"""Who may answer a conversation: leases, takeovers and the steps of a turn, on a real server."""

import asyncio

import pytest

from core.errors import LeaseLost, StoreUnavailable
from core.store.claim import Claim
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from core.turns import Conversation, Part, Room
from tests.core.store.events import CONVERSATION, ROOM, an_event, two_turns
from tests.core.store.lossy import Lossy
from tests.core.store.servers import RedisServer
from tests.core.store.steps import accept, answer, complete, eventually, nothing_is_ready, take, take_over


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


async def test_what_was_claimed_for_a_caller_who_is_gone_is_anybodys_at_once(
    lossy_way: tuple[Lossy, Store], store: Store
) -> None:
    way, remote = lossy_way
    await accept(store, an_event())
    async with asyncio.TaskGroup() as group, way.holding("claim") as is_claimed:
        taking = group.create_task(remote.claims.take(["web"], 1, wait=20))
        await is_claimed.wait()
        taking.cancel()
    assert (await take(store)).tries == 1


async def test_what_was_read_by_a_process_that_ends_is_anybodys_at_once(
    store_settings: StoreSettings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.store.store._LEAVE_SECONDS", 20.0)  # a busy machine is late
    places = [Conversation.of(ROOM, f"place {number}") for number in range(20)]
    async with open_store(store_settings) as leaving:
        assert await nothing_is_ready(leaving)
        await accept(store, *(an_event(conversation=place) for place in places))
        assert len(await leaving.claims.take(["web"], 1, wait=10)) == 1
    # One is claimed, and its lease must end; the others were only read.
    taken: list[Claim] = []

    async def others_taken() -> bool:
        taken.extend(await store.claims.take(["web"], 20, wait=0.1))
        return len(taken) >= len(places) - 1

    await eventually(others_taken)
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


async def test_what_a_reading_brings_after_its_caller_has_gone_is_let_by(
    store_settings: StoreSettings, store: Store, redis_server: RedisServer
) -> None:
    async with open_store(store_settings) as leaving, asyncio.TaskGroup() as group:
        assert await nothing_is_ready(leaving)
        with redis_server.paused():
            assert await leaving.claims.take(["web"], 1, wait=0.05) == []
            group.create_task(accept(store, an_event()))
            await asyncio.sleep(0.05)
        await leaving.claims.pass_by()
        # Before its entry is stale.
        assert await eventually(lambda: store.claims.take(["web"], 1, wait=1.0), within=7.0)
