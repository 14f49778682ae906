"""A step whose request or answer gets lost on the way happens once."""

import pytest

from core.store.scripts import ScriptName
from core.store.store import Store
from core.turns import Part
from tests.core.store.events import CONVERSATION, an_event
from tests.core.store.lossy import Lossy
from tests.core.store.steps import accept, answer, complete, nothing_is_ready, take

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
