"""Turns that were set aside, and how a claim is blamed, on a real server."""

from datetime import timedelta

import pytest

from core.errors import LeaseLost, Overloaded
from core.store.aside import KEPT, Aside
from core.store.inbox import MAILBOX
from core.store.store import Store
from core.turns import Conversation, Event
from tests.core.store.events import ROOM, an_event
from tests.core.store.lossy import Lossy
from tests.core.store.steps import accept, answer, complete, take, take_over


def aside_of(store: Store, **bounds: object) -> Aside:
    return Aside(store.client, store.inbox, **bounds)  # type: ignore[arg-type]


async def events_of(aside: Aside) -> list[Event]:
    return [entry.event for entry in await aside.all()]


async def test_event_is_set_aside_once_with_its_number_of_tries_and_no_text_in_sight(store: Store) -> None:
    aside, event = aside_of(store), an_event("secret words")
    await aside.put(event, 3)
    await aside.put(event, 4)
    [entry] = await aside.all()
    assert (entry.event, entry.tries) == (event, 3)
    assert entry.since > 1_700_000_000
    assert "secret words" not in repr(entry)


async def test_setting_aside_is_done_once_when_the_answer_is_lost(lossy_way: tuple[Lossy, Store]) -> None:
    way, store = lossy_way
    event = an_event()
    way.lose_answer_of("aside")
    await aside_of(store).put(event, 3)
    assert await events_of(aside_of(store)) == [event]
    assert way.lost == 1


async def make_older(aside: Aside, event: Event, by: timedelta) -> None:
    """As if `event` had been set aside so long ago."""
    value = await aside._client.read(lambda redis: redis.hget(aside._key, event.id))
    since, _, record = value.partition(b" ")
    older = b"%d %s" % (int(since) - int(by.total_seconds()), record)
    await aside._client.read(lambda redis: redis.hset(aside._key, event.id, older))


async def test_oldest_goes_when_there_are_too_many(store: Store) -> None:
    aside, (first, second, third) = aside_of(store, most=2), (an_event(), an_event(), an_event())
    await aside.put(first, 3)
    await aside.put(second, 3)
    await make_older(aside, second, timedelta(minutes=1))
    await aside.put(third, 3)
    kept = await events_of(aside)
    assert len(kept) == 2
    assert second not in kept


async def test_what_is_too_old_goes(store: Store) -> None:
    aside, (old, young, new) = aside_of(store), (an_event(), an_event(), an_event())
    await aside.put(old, 3)
    await make_older(aside, old, KEPT + timedelta(minutes=1))
    await aside.put(young, 3)
    await make_older(aside, young, KEPT - timedelta(minutes=1))
    await aside.put(new, 3)
    assert await events_of(aside) == [young, new]


async def test_retried_event_waits_for_an_answer_again_under_a_new_id(store: Store) -> None:
    aside, event = aside_of(store), an_event("once more")
    await accept(store, event)
    await answer(store)
    await aside.put(event, 3)
    [entry] = await aside.all()
    await aside.retry(entry)
    await aside.retry(entry)
    assert await aside.all() == []
    claim = await take(store)
    assert (claim.event.text, claim.event.id) == ("once more", f"{event.id}~again")
    await complete(store, claim)
    await store.claims.delivered(claim)
    assert await store.claims.take(["web"], 1, wait=0.01) == []


async def test_event_for_which_there_is_no_room_stays_set_aside(store: Store) -> None:
    aside, event = aside_of(store), an_event()
    await aside.put(event, 3)
    await accept(store, *(an_event() for _ in range(MAILBOX)))
    [entry] = await aside.all()
    with pytest.raises(Overloaded):
        await aside.retry(entry)
    assert await events_of(aside) == [event]


async def test_conversation_that_is_forgotten_leaves_nothing_here(store: Store) -> None:
    aside, event = aside_of(store), an_event()
    other = an_event(conversation=Conversation.of(ROOM, "other"))
    await aside.put(event, 3)
    await aside.put(other, 3)
    assert await aside.forget(lambda other: other.conversation == event.conversation, "?") == 1
    assert await events_of(aside) == [other]


async def test_record_that_cannot_be_read_hides_no_other(store: Store) -> None:
    aside, event = aside_of(store), an_event()
    await aside.put(event, 3)
    await store.client.read(lambda redis: redis.hset(aside._key, "old", b"1700000000 \xc1"))
    assert await events_of(aside) == [event]


async def test_claims_that_end_without_a_word_are_counted(hasty: Store, heir: Store) -> None:
    aside = aside_of(heir)
    await accept(hasty, an_event())
    await take(hasty)
    for times in (1, 2, 3):
        claim = await take_over(heir)
        assert await aside.blame(claim) == times
        assert await aside.blame(claim) == times


async def test_claim_that_gets_a_word_further_ends_the_blame(hasty: Store, heir: Store) -> None:
    aside = aside_of(heir)
    await accept(hasty, an_event())
    await take(hasty)
    claim = await take_over(heir)
    assert await aside.blame(claim) == 1
    await heir.claims.showing(claim, 0, "once", 4, final=False)
    assert await aside.blame(await take_over(heir)) == 0
    assert await aside.blame(await take_over(heir)) == 1


async def test_claim_that_completes_the_answer_ends_the_blame(hasty: Store, heir: Store) -> None:
    aside = aside_of(heir)
    await accept(hasty, an_event())
    await take(hasty)
    claim = await take_over(heir)
    assert await aside.blame(claim) == 1
    await complete(heir, claim)
    assert await aside.blame(await take_over(heir)) == 0


async def test_claim_that_is_given_back_is_not_blamed(hasty: Store, heir: Store) -> None:
    aside = aside_of(heir)
    await accept(hasty, an_event())
    await take(hasty)
    claim = await take_over(heir)
    assert await aside.blame(claim) == 1
    await aside.absolve(claim)
    await heir.claims.release(claim)
    assert await aside.blame(await take(heir)) == 1
    assert await aside.blame(await take_over(heir)) == 2


async def test_former_holder_neither_blames_nor_absolves(hasty: Store, heir: Store) -> None:
    aside = aside_of(hasty)
    await accept(hasty, an_event())
    claim = await take(hasty)
    await take_over(heir)
    with pytest.raises(LeaseLost):
        await aside.blame(claim)
    with pytest.raises(LeaseLost):
        await aside.absolve(claim)
    assert claim.lost
