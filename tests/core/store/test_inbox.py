"""What adapters see of the store, on a real server."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from core.errors import Overloaded, StoreUnavailable
from core.store.client import StoreSettings
from core.store.forget import Forget
from core.store.inbox import MAILBOX
from core.store.scripts import ScriptName
from core.store.store import Store, open_store
from core.turns import Conversation, Shown
from tests.core.store.events import CONVERSATION, ROOM, an_event
from tests.core.store.lossy import Lossy
from tests.core.store.steps import accept, answer, complete, eventually, take, take_over


async def test_an_event_is_accepted_once(store: Store) -> None:
    event = an_event()
    assert await store.inbox.accept(event)
    assert not await store.inbox.accept(event)
    await answer(store)
    assert not await store.inbox.accept(event)
    assert await store.claims.take(["web"], 1, wait=0.01) == []


@pytest.mark.parametrize(("kind", "step"), [("message", "accept"), ("stop", "stop"), ("help", "control")])
async def test_accepting_again_after_a_lost_answer_says_the_same(
    lossy_way: tuple[Lossy, Store], kind: str, step: ScriptName
) -> None:
    way, store = lossy_way
    way.lose_answer_of(step)
    assert await store.inbox.accept(an_event(kind=kind))  # type: ignore[arg-type]
    assert way.lost == 1


async def test_events_accepted_at_the_same_time_keep_their_order(store: Store) -> None:
    events = [an_event(f"{i}") for i in range(50)]
    async with asyncio.TaskGroup() as group:
        for event in events:
            group.create_task(store.inbox.accept(event))
    assert [turn.text for turn in await store.inbox.turns(CONVERSATION, 0)] == [event.text for event in events]


async def test_a_full_mailbox_refuses_and_takes_nothing(store: Store) -> None:
    await asyncio.gather(*(store.inbox.accept(an_event()) for _ in range(MAILBOX)))
    late = an_event()
    with pytest.raises(Overloaded):
        await store.inbox.accept(late)
    await answer(store)
    assert await store.inbox.accept(late)


@pytest.mark.timeout(120)
async def test_a_flood_in_one_room_fills_its_own_mailbox_and_no_other(store_settings: StoreSettings) -> None:
    async with open_store(replace(store_settings, patience=50.0)) as store:
        flood = [asyncio.ensure_future(store.inbox.accept(an_event())) for _ in range(5_000)]
        other = Conversation.of(ROOM, "elsewhere")
        await accept(store, an_event("in time", conversation=other))
        flood += [asyncio.ensure_future(store.inbox.accept(an_event())) for _ in range(5_000)]
        outcomes = await asyncio.gather(*flood, return_exceptions=True)
        assert outcomes.count(True) == MAILBOX
        assert all(isinstance(outcome, Overloaded) for outcome in outcomes if outcome is not True)
        first, second = await answer(store), await answer(store)
        assert "in time" in (first.event.text, second.event.text)


async def test_a_stop_hits_the_running_turn_and_not_the_next(store: Store) -> None:
    await accept(store, an_event("one"), an_event("two"))
    claim = await take(store)
    await accept(store, an_event(kind="stop"))
    await store.claims.beat([claim])
    assert claim.stopped
    await complete(store, claim)
    await store.claims.delivered(claim)
    following = await take(store)
    await store.claims.beat([following])
    assert (following.event.text, following.stopped) == ("two", False)


async def test_a_stop_is_seen_by_showing(store: Store) -> None:
    await accept(store, an_event())
    claim = await take(store)
    await accept(store, an_event(kind="stop"))
    await store.claims.showing(claim, 0, "a", 1, final=False)
    assert claim.stopped


async def test_a_stop_while_delivering_hits_what_was_answered(store: Store) -> None:
    await accept(store, an_event("one"), an_event("two"))
    claim = await take(store)
    await complete(store, claim)
    await accept(store, an_event(kind="stop"))
    await store.claims.beat([claim])
    assert claim.stopped
    await store.claims.delivered(claim)
    assert not (await take(store)).stopped


async def test_a_stop_before_the_claim_is_not_lost(store: Store) -> None:
    await accept(store, an_event(), an_event(kind="stop"))
    assert (await take(store)).stopped


async def test_a_stop_outlives_a_takeover(hasty: Store, heir: Store) -> None:
    await accept(hasty, an_event())
    await take(hasty)
    await accept(hasty, an_event(kind="stop"))
    assert (await take_over(heir)).stopped


async def test_a_stop_with_nothing_to_stop_marks_nothing(store: Store) -> None:
    await accept(store, an_event())
    await answer(store)
    await accept(store, an_event(kind="stop"), an_event())
    assert not (await take(store)).stopped


async def test_a_repeated_stop_does_not_hit_a_later_turn(store: Store) -> None:
    stop = an_event(kind="stop")
    await accept(store, an_event(), stop)
    await answer(store)
    await accept(store, an_event())
    assert not await store.inbox.accept(stop)
    assert not (await take(store)).stopped


async def test_a_message_waits_where_nothing_else_is_set(store: Store) -> None:
    await accept(store, an_event("one"))
    claim = await take(store)
    await accept(store, an_event("two"))
    await store.claims.beat([claim])
    assert not claim.stopped


async def test_a_message_ends_all_that_is_before_it_where_that_is_set(store: Store) -> None:
    await store.places.put(CONVERSATION, "when_busy", "interrupt")
    await accept(store, an_event("one"), an_event("two"), an_event("three"))
    stopped = {claim.event.text: claim.stopped for claim in [await answer(store) for _ in range(3)]}
    assert stopped == {"one": True, "two": True, "three": False}


async def test_what_is_set_for_a_place_goes_before_the_operators_word(store_settings: StoreSettings) -> None:
    async with open_store(replace(store_settings, when_busy="interrupt")) as store:
        await accept(store, an_event("one"))
        claim = await take(store)
        await store.places.put(CONVERSATION, "when_busy", "queue")
        await accept(store, an_event("two"))
        await store.claims.beat([claim])
        assert not claim.stopped
        await store.places.put(CONVERSATION, "when_busy", "")
        assert await store.places.of(CONVERSATION) == {}
        await accept(store, an_event("three"))
        await store.claims.beat([claim])
        assert claim.stopped


async def test_a_message_that_ends_others_does_so_once(lossy_way: tuple[Lossy, Store]) -> None:
    way, store = lossy_way
    await store.places.put(CONVERSATION, "when_busy", "interrupt")
    await accept(store, an_event("one"))
    way.lose_answer_of("accept")
    await accept(store, an_event("two"))
    assert way.lost == 1
    assert [(await answer(store)).stopped for _ in range(2)] == [True, False]


async def test_mark_of_what_was_taken_out_hits_nothing_else(store: Store) -> None:
    await store.places.put(CONVERSATION, "when_busy", "interrupt")
    gone = replace(an_event("gone"), message="m2")
    await accept(store, an_event("one"), gone, an_event("three"))
    await Forget(store.client, store.inbox).message(CONVERSATION, "m2")
    first, second = await answer(store), await answer(store)
    assert [(claim.event.text, claim.stopped) for claim in (first, second)] == [("one", True), ("three", False)]


async def test_an_edit_ends_the_answer_to_its_message_and_no_other(store: Store) -> None:
    edit = replace(an_event("uno", kind="edit"), target="m1")
    await accept(store, replace(an_event("one"), message="m1"), replace(an_event("two"), message="m2"), edit)
    assert [(await answer(store)).stopped for _ in range(3)] == [True, False, False]
    await accept(store, replace(an_event("three"), message="m3"), replace(edit, id="web/bot1/again"))
    assert not (await take(store)).stopped


async def test_a_stop_wakes_whoever_listens(store: Store, store_settings: StoreSettings) -> None:
    await accept(store, an_event())
    async with open_store(store_settings) as elsewhere, store.claims.stops() as stops:
        await accept(elsewhere, an_event(kind="stop"))
        assert await anext(aiter(stops)) == CONVERSATION


async def test_a_watcher_sees_what_stands_there_and_then_each_change(
    store: Store, store_settings: StoreSettings
) -> None:
    await accept(store, an_event())
    claim = await take(store)
    await store.claims.showing(claim, 0, "one", 3, final=False)
    async with open_store(store_settings) as elsewhere, elsewhere.inbox.watch(CONVERSATION) as changes:
        assert await anext(changes) == Shown(claim.event.id, 0, "one", final=False)
        await store.claims.showing(claim, 0, "one two", 7, final=True)
        assert await anext(changes) == Shown(claim.event.id, 0, "one two", final=True)


async def test_a_slow_watcher_skips_changes_and_no_part(store: Store) -> None:
    await accept(store, an_event())
    claim = await take(store)
    async with store.inbox.watch(CONVERSATION) as changes, store.inbox.watch(CONVERSATION) as others:
        await store.claims.showing(claim, 0, "a", 1, final=False)
        assert (await anext(changes)).text == "a"
        for text in ("ab", "abc"):
            await store.claims.showing(claim, 0, text, len(text), final=False)
        await store.claims.showing(claim, 1, "d", 4, final=True)
        seen = [await anext(others)]
        while not seen[-1].final:
            seen.append(await anext(others))
        assert {shown.part: shown.text for shown in seen} == {0: "abc", 1: "d"}


async def test_a_watcher_that_missed_the_end_of_a_reply_is_told(
    store: Store, store_settings: StoreSettings
) -> None:
    await accept(store, an_event())
    claim = await take(store)
    await store.claims.showing(claim, 0, "one", 3, final=False)
    async with open_store(store_settings) as elsewhere, elsewhere.inbox.watch(CONVERSATION) as changes:
        assert not (await anext(changes)).final
        async with Redis.from_url(store_settings.url) as connected:
            redis: Any = connected
            await redis.execute_command("ACL", "SETUSER", "default", "-subscribe")
            try:
                await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                await store.claims.showing(claim, 0, "one two", 7, final=True)
                await complete(store, claim, "one two")
                await store.claims.delivered(claim)
            finally:
                await redis.execute_command("ACL", "SETUSER", "default", "+subscribe")
        with pytest.raises(StoreUnavailable, match="was not seen"):
            await anext(changes)
        assert (await elsewhere.inbox.turns(CONVERSATION, 1))[0].text == "one two"


async def test_a_watcher_of_another_conversation_sees_nothing(store: Store) -> None:
    other = Conversation.of(ROOM, "other")
    await accept(store, an_event(), an_event(conversation=other))
    async with store.inbox.watch(other) as changes:
        for _ in range(2):
            claim = await take(store)
            text = "theirs" if claim.conversation == other else "not theirs"
            await store.claims.showing(claim, 0, text, 1, final=False)
        assert (await anext(changes)).text == "theirs"


async def test_turns_end_with_what_waits_for_an_answer(store: Store) -> None:
    await accept(store, an_event("one"))
    await answer(store, "yes")
    await accept(store, an_event("two"), an_event(kind="reset"))
    assert [(turn.number, turn.text) for turn in await store.inbox.turns(CONVERSATION, 9)] == [
        (1, "one"),
        (2, "yes"),
        (0, "two"),
    ]
    assert [turn.number for turn in await store.inbox.turns(CONVERSATION, 1)] == [2, 0]


async def test_what_an_adapter_keeps_comes_back_until_it_expires(store: Store) -> None:
    assert await store.inbox.get("telegram/offset") is None
    await store.inbox.set("telegram/offset", b"\x00\xff", expires=timedelta(hours=1))
    assert await store.inbox.get("telegram/offset") == b"\x00\xff"
    await store.inbox.set("telegram/offset", b"2", expires=timedelta(milliseconds=1))

    async def gone() -> bool:
        return await store.inbox.get("telegram/offset") is None

    await eventually(gone)


async def test_help_needs_no_conversation_and_is_taken_once(store: Store) -> None:
    event = an_event(kind="help")
    await accept(store, event)
    assert await store.claims.take(["web"], 1, wait=0.01) == []
    [entry] = await eventually(lambda: store.control.take(["web"], 4, wait=1))
    assert entry.event == event
    assert await store.control.take(["web"], 4, wait=0.01) == []
    async with store.inbox.watch(event.conversation) as changes:
        await store.control.showing(entry, 0, "I can help.", final=True)
        assert await anext(changes) == Shown(event.id, 0, "I can help.", final=True)
    await store.control.done(entry)
    await store.control.done(entry)
    assert await store.client.read(lambda redis: redis.xlen(entry.entry.stream)) == 0
