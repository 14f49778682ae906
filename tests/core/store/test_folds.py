"""Summaries in the store: one writer at a time, and never of what is not remembered any more."""

from dataclasses import replace

import pytest

from core.errors import LeaseLost
from core.store.folds import Fold, Held
from core.store.forget import Forget, Person
from core.store.store import Store
from core.summary import Summaries, Summary
from core.turns import Speaker
from tests.core.store.events import CONVERSATION, an_event, two_turns
from tests.core.store.lossy import Lossy
from tests.core.store.steps import accept, answer, complete, eventually, take


async def talk(store: Store, messages: int) -> None:
    for number in range(messages):
        await accept(store, an_event(f"{number}"))
        await answer(store)


async def taken(store: Store, upto: int) -> Fold:
    fold = await store.folds.take(CONVERSATION, upto)
    assert isinstance(fold, Fold)
    return fold


async def shown(store: Store) -> Summaries:
    """What the next answer's prompt is made of."""
    await accept(store, an_event("what do you know?"))
    claim = await take(store)
    return claim.summaries


async def test_summary_waits_for_the_window_to_jump(store: Store) -> None:
    await talk(store, 3)
    fold = await taken(store, 4)
    assert [turn.number for turn in fold.turns] == [1, 2, 3, 4]
    assert await store.folds.write(fold, "short")
    assert await store.memory.summary(CONVERSATION) == Summary("short", 4)
    assert await shown(store) == Summaries(next=Summary("short", 4))


async def test_summary_is_shown_when_an_answer_says_that_the_window_has_jumped(store: Store) -> None:
    await talk(store, 3)
    await store.folds.write(await taken(store, 4), "short")
    await accept(store, an_event())
    claim = await take(store)
    turns = two_turns(claim.event, "yes", last=claim.last)
    jumped = claim.summaries.after_a_jump()
    await store.claims.complete(claim, turns=turns, text="yes", window=5, summaries=jumped)
    await store.claims.delivered(claim)
    assert claim.summaries == await shown(store) == Summaries(Summary("short", 4))


async def test_next_fold_begins_after_the_last(store: Store) -> None:
    await talk(store, 3)
    await store.folds.write(await taken(store, 4), "short")
    fold = await taken(store, 6)
    assert ([turn.number for turn in fold.turns], fold.summaries.newest.text) == ([5, 6], "short")
    await store.folds.release(fold)
    assert await store.folds.take(CONVERSATION, 4) is None


async def test_only_one_writes_until_it_gives_up(store: Store) -> None:
    await talk(store, 2)
    fold = await taken(store, 4)
    assert isinstance(held := await store.folds.take(CONVERSATION, 4), Held)
    assert 0 < held.seconds <= 9
    await store.folds.keep(fold)
    await store.folds.release(fold)
    assert isinstance(await store.folds.take(CONVERSATION, 4), Fold)


async def test_writer_whose_lease_has_ended_writes_nothing_over_its_successor(hasty: Store, heir: Store) -> None:
    await talk(hasty, 2)
    late = await taken(hasty, 4)

    async def succeeds() -> Fold | None:
        found = await heir.folds.take(CONVERSATION, 4)
        return found if isinstance(found, Fold) else None

    successor = await eventually(succeeds)
    assert successor is not None
    with pytest.raises(LeaseLost):
        await hasty.folds.keep(late)
    assert not await hasty.folds.write(late, "late")
    assert await heir.folds.write(successor, "in time")
    assert not await hasty.folds.write(late, "late")
    assert (await heir.memory.summary(CONVERSATION)).text == "in time"


async def test_nothing_is_written_of_what_was_forgotten_meanwhile(store: Store) -> None:
    await talk(store, 2)
    fold = await taken(store, 4)
    await Forget(store.client, store.inbox).conversation(CONVERSATION)
    assert not await store.folds.write(fold, "a secret")
    with pytest.raises(LeaseLost):
        await store.folds.keep(fold)


async def test_nothing_is_written_of_a_turn_that_was_changed_meanwhile(store: Store) -> None:
    """A deleted turn is overwritten in place, by whoever deletes it."""
    await talk(store, 2)
    fold = await taken(store, 4)
    key = store.client.keys.conversation("t", CONVERSATION)
    await store.client.ask("LSET", key, 0, b"\x80", key=key)
    assert not await store.folds.write(fold, "a secret")


async def test_forgetting_takes_the_summary_with_it(store: Store) -> None:
    await talk(store, 2)
    await store.folds.write(await taken(store, 4), "a secret")
    await Forget(store.client, store.inbox).conversation(CONVERSATION)
    assert await store.memory.summary(CONVERSATION) == Summary()
    assert await shown(store) == Summaries()


async def test_summary_that_went_with_a_person_during_an_answer_stays_away(store: Store) -> None:
    other = Speaker("other", "Bob")
    await talk(store, 1)
    await accept(store, replace(an_event("mine"), speaker=other))
    await answer(store)
    await store.folds.write(await taken(store, 2), "a secret")
    await accept(store, an_event())
    claim = await take(store)
    await Forget(store.client, store.inbox).person(Person(CONVERSATION.platform, other.id))
    turns = two_turns(claim.event, "yes", last=claim.last)
    jumped = claim.summaries.after_a_jump()
    await store.claims.complete(claim, turns=turns, text="yes", window=3, summaries=jumped)
    assert await store.memory.summary(CONVERSATION) == Summary()


async def test_conversation_that_is_being_answered_keeps_its_summaries(store: Store) -> None:
    await talk(store, 2)
    fold = await taken(store, 4)
    await accept(store, an_event())
    claim = await take(store)
    assert not await store.folds.write(fold, "meanwhile")
    assert await store.folds.take(CONVERSATION, 4) is None
    await complete(store, claim)
    await store.claims.delivered(claim)
    assert await store.folds.write(fold, "afterwards")


async def test_summary_whose_answer_was_lost_is_written_once(lossy_way: tuple[Lossy, Store]) -> None:
    way, store = lossy_way
    await talk(store, 2)
    fold = await taken(store, 4)
    way.lose_answer_of("folded")
    assert await store.folds.write(fold, "short")
    assert way.lost == 1
    assert await store.memory.summary(CONVERSATION) == Summary("short", 4)


async def test_summary_that_nobody_can_read_is_done_without(store: Store) -> None:
    await talk(store, 2)
    key = store.client.keys.conversation("c", CONVERSATION)
    await store.client.ask("HSET", key, "summary", b"\xc1", key=key)
    assert await shown(store) == Summaries()


async def test_turns_that_are_kept_no_more_are_not_folded(store: Store) -> None:
    await talk(store, 3)
    key = store.client.keys.conversation("t", CONVERSATION)
    await store.client.ask("LTRIM", key, 2, -1, key=key)
    fold = await taken(store, 4)
    assert [turn.number for turn in fold.turns] == [3, 4]
    assert await store.folds.write(fold, "short")
