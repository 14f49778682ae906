"""Messages that are answered together, where a place has it so, on a real server."""

from dataclasses import replace

import pytest

from core.errors import LeaseLost
from core.store.client import StoreSettings
from core.store.forget import Forget
from core.store.store import Store, open_store
from core.turns import Event, Speaker
from tests.core.store.events import CONVERSATION, an_event
from tests.core.store.lossy import Lossy
from tests.core.store.steps import accept, answer, complete, take, take_over


def said(text: str, person: str = "p1") -> Event:
    return replace(an_event(text), message=f"m-{text}", speaker=Speaker(person))


async def collect(store: Store) -> None:
    await store.places.put(CONVERSATION, "when_busy", "collect")


async def test_what_waits_is_answered_together_and_what_comes_then_is_not(store: Store) -> None:
    await collect(store)
    await accept(store, said("one"), said("two"), said("three"))
    claim = await take(store)
    assert (claim.event.text, claim.event.message, claim.event.also) == (
        "one\n\ntwo\n\nthree",
        "m-one",
        ("m-two", "m-three"),
    )
    await accept(store, said("four"))
    await complete(store, claim)
    await store.claims.delivered(claim)
    following = await answer(store)
    assert (following.event.text, following.number, following.last) == ("four", 4, 4)
    assert await store.claims.take(["web"], 1, wait=0.01) == []


@pytest.mark.parametrize(
    "other",
    [said("two", "p2"), an_event("two", kind="persona"), replace(said("two"), alone=True)],
    ids=["somebody else's", "no message", "waited for"],
)
async def test_only_messages_of_one_speaker_are_answered_together(store: Store, other: Event) -> None:
    await collect(store)
    other = replace(other, id=an_event().id)
    await accept(store, said("one"), other, said("three"))
    assert [(await answer(store)).event.text for _ in range(3)] == ["one", "two", "three"]


async def test_whoever_takes_over_answers_the_same_and_delivers_it(hasty: Store, heir: Store) -> None:
    await collect(hasty)
    await accept(hasty, said("one"), said("two"))
    first = await take(hasty)
    await accept(hasty, said("three"))
    second = await take_over(heir)
    assert second.event == first.event
    await complete(heir, second)
    third = await take_over(hasty)
    assert (third.phase, third.event) == ("delivering", first.event)
    await hasty.claims.delivered(third)
    assert (await answer(heir)).event.text == "three"


@pytest.mark.parametrize("step", ["claim", "complete"])
async def test_a_step_that_is_repeated_takes_no_other_message(lossy_way: tuple[Lossy, Store], step: str) -> None:
    way, store = lossy_way
    await collect(store)
    await accept(store, said("one"), said("two"))
    way.lose_answer_of(step)  # type: ignore[arg-type]
    claim = await take(store)
    await accept(store, said("three"))
    await complete(store, claim)
    assert (way.lost, claim.event.text) == (1, "one\n\ntwo")
    await store.claims.delivered(claim)
    assert (await answer(store)).event.text == "three"


async def test_what_is_taken_away_ends_the_answer_to_all_and_the_others_are_answered(store: Store) -> None:
    await collect(store)
    await accept(store, said("one"), said("two"))
    claim = await take(store)
    await accept(store, said("three"))
    await Forget(store.client, store.inbox).message(CONVERSATION, "m-two")
    with pytest.raises(LeaseLost):
        await complete(store, claim)
    assert (await answer(store)).event.text == "one\n\nthree"


async def test_what_is_taken_away_while_it_is_delivered_goes_with_its_answer(store: Store) -> None:
    await collect(store)
    await accept(store, said("one"), said("two"))
    claim = await take(store)
    await complete(store, claim)
    await Forget(store.client, store.inbox).message(CONVERSATION, "m-two")
    with pytest.raises(LeaseLost):
        await store.claims.delivered(claim)


async def test_a_stop_hits_all_that_are_answered_together(store: Store) -> None:
    await collect(store)
    await accept(store, said("one"), said("two"))
    claim = await take(store)
    await accept(store, an_event(kind="stop"))
    await store.claims.beat([claim])
    assert claim.stopped
    await complete(store, claim)
    await store.claims.delivered(claim)
    await accept(store, said("three"))
    assert not (await take(store)).stopped


def piece(text: str, seconds: float = 0.2) -> Event:
    return replace(said(text), more_within=seconds)


async def test_pieces_of_one_message_are_answered_together_and_nothing_else_is(store: Store) -> None:
    await accept(store, said("before"), piece("one"), piece("two"), said("three"), said("after"))
    claims = [await answer(store) for _ in range(3)]
    assert [claim.event.text for claim in claims] == ["before", "one\ntwo\nthree", "after"]
    assert (claims[1].event.also, claims[1].number, claims[2].number) == (("m-two", "m-three"), 2, 5)


async def test_piece_waits_for_the_next_one_and_that_for_one_more(store: Store) -> None:
    await accept(store, piece("one", 2.0))
    assert await store.claims.take(["web"], 1, wait=0.05) == []
    await accept(store, piece("two", 2.0))
    assert await store.claims.take(["web"], 1, wait=0.05) == []
    await accept(store, said("three"))
    assert (await take(store)).event.text == "one\ntwo\nthree"


async def test_last_piece_is_answered_without_another(store: Store) -> None:
    await accept(store, piece("alone", 0.05))
    assert (await take(store)).event.text == "alone"


async def test_pieces_of_two_people_are_not_mixed(store: Store) -> None:
    await accept(store, piece("one"), said("two", "p2"))
    assert [(await answer(store)).event.text for _ in range(2)] == ["one", "two"]


async def test_piece_does_not_end_what_it_belongs_to(store: Store) -> None:
    await store.places.put(CONVERSATION, "when_busy", "interrupt")
    await accept(store, said("before"), piece("one", 3.0), said("two"))
    stopped = {claim.event.text: claim.stopped for claim in [await answer(store) for _ in range(2)]}
    assert stopped == {"before": True, "one\ntwo": False}


async def test_pieces_outlive_the_process_that_has_seen_them(store_settings: StoreSettings) -> None:
    async with open_store(store_settings) as first:
        await accept(first, piece("one", 2.0), said("two"))
        assert await first.claims.take(["web"], 1, wait=0.05) == []
    async with open_store(store_settings) as second:
        assert (await take(second)).event.text == "one\ntwo"


async def test_pieces_outlive_a_process_that_is_killed_while_they_wait(hasty: Store, heir: Store) -> None:
    await accept(hasty, piece("one", 2.0), said("two"))
    assert await hasty.claims.take(["web"], 1, wait=0.05) == []
    assert (await take_over(heir)).event.text == "one\ntwo"


async def test_whoever_takes_over_answers_the_same_pieces(hasty: Store, heir: Store) -> None:
    await accept(hasty, piece("one", 0.05), said("two"))
    first = await take(hasty)
    await accept(hasty, piece("three", 5))
    assert (await take_over(heir)).event == first.event
