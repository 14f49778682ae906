"""Conversations on several platforms, passed on to whoever answers where their next message was said."""

from dataclasses import replace

import pytest

from core.errors import LeaseLost
from core.scope import PEOPLE
from core.store.store import Store
from core.turns import Conversation, Event
from tests.core.store.events import CONVERSATION, an_event
from tests.core.store.lossy import Lossy
from tests.core.store.steps import accept, complete, nothing_is_ready, take, take_over

LINKED = Conversation(f"{PEOPLE}/l/private")


def linked(text: str) -> Event:
    """What a person says in the conversation, on the platform that is called "web"."""
    return replace(an_event(text), conversation=LINKED, home=CONVERSATION)


@pytest.mark.parametrize("lost", ["nothing", "release"])
async def test_conversation_is_passed_on_once_to_the_platform_of_its_event(
    lossy_way: tuple[Lossy, Store], lost: str
) -> None:
    way, store = lossy_way
    await accept(store, linked("one"))
    if lost == "release":
        way.lose_answer_of("release")
    await store.claims.pass_on(await take(store, [PEOPLE]))
    assert await store.claims.take([PEOPLE, "other"], 1, wait=0.01) == []
    claim = await take(store)
    assert (claim.event.text, claim.tries, way.lost) == ("one", 1, int(lost == "release"))
    await accept(store, linked("two"))
    await complete(store, claim)
    await store.claims.delivered(claim)
    assert await nothing_is_ready(store), "whoever answers next, on whatever platform, sees it"
    assert (await take(store, [PEOPLE])).event.text == "two"


async def test_conversation_that_is_passed_on_where_it_is_waits_for_the_next_reader(
    hasty: Store, heir: Store
) -> None:
    await accept(hasty, linked("one"))
    await hasty.claims.pass_on(await take(hasty, [PEOPLE]))
    claim = await take(hasty)
    await hasty.claims.pass_on(claim)
    with pytest.raises(LeaseLost):
        await hasty.claims.showing(claim, 0, "yes", 3, final=False)
    again = await take_over(heir)
    assert (again.event.text, again.tries, again.entry.id) == ("one", 1, claim.entry.id)
