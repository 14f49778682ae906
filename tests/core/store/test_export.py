"""What is exported is all there is, and comes back whole; on real servers."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.store.aside import Aside
from core.store.client import StoreSettings
from core.store.export import Exporter, Said
from core.store.forget import Forget, Person
from core.store.importing import Importer, NoExport, encode_line
from core.store.store import Store, open_store
from core.summary import Summaries, Summary
from core.turns import Conversation, Event, Room, Speaker
from tests.core.store.events import ROOM, an_event
from tests.core.store.steps import accept, answer, take

PLACES = [Conversation.of(ROOM, f"place{{{number}}}", "topic" if number % 3 else "") for number in range(12)]


@pytest.fixture
async def other(store_settings: StoreSettings) -> AsyncIterator[Store]:
    """An empty store with other shards."""
    async with open_store(replace(store_settings, prefix="other", shards=5)) as opened:
        yield opened


async def lines(store: Store) -> list[bytes]:
    return [encode_line(record) async for record in Exporter(store.client, store.inbox).everything()]


async def bring(store: Store, exported: list[bytes], most: int = 2000) -> int:
    return await Importer(store.client, store.inbox, most=most).read(exported)


async def fill(store: Store) -> None:
    for place in PLACES:
        await accept(store, an_event("be a pirate", kind="persona", conversation=place))
        claim = await take(store)
        await store.claims.complete(claim, turns=(), text="aye", window=None, persona=f"pirate of {place}")
        await store.claims.delivered(claim)
        for number in range(3):
            await accept(store, replace(an_event(f"{number} in {place}", conversation=place), server="S"))
            await answer(store, f"answer {number}")
    state = store.client.keys.conversation("c", PLACES[0])
    summary = store.client.records.encode(Summaries(Summary("what was said before", 2)))
    await store.client.ask("HSET", state, "summary", summary, key=state)
    await accept(store, an_event("waits", conversation=PLACES[1]))
    await store.places.put(PLACES[1], "when_busy", "interrupt")
    await Aside(store.client, store.inbox).put(an_event("was set aside", conversation=PLACES[2]), 3)


async def test_export_is_the_same_after_it_came_into_a_store_with_other_shards_twice(
    store: Store, other: Store
) -> None:
    await fill(store)
    exported = await lines(store)
    assert len(exported) == 1 + 12 * 6 + 12 + 1 + 1 + 1
    for _ in range(2):
        assert await bring(other, exported) == len(exported)
        assert sorted(await lines(other)) == sorted(exported)
    claim = await take(other)
    assert await other.places.of(PLACES[1]) == {"when_busy": "interrupt"}
    assert (claim.event.text, claim.last, claim.persona) == ("waits", 6, f"pirate of {PLACES[1]}")
    assert [turn.number for turn in claim.window] == [1, 2, 3, 4, 5, 6]
    assert [turn.token_ids for turn in claim.window if turn.role == "assistant"] == [(1, 2, 300)] * 3


async def test_what_is_in_a_store_already_stays_and_what_is_newer_follows(store: Store, other: Store) -> None:
    await fill(store)
    await bring(other, await lines(store))
    place = other.client.keys.place(PLACES[0])
    await other.client.ask("HSET", place, "persona", other.client.records.encode_text("of its own"), key=place)
    await accept(store, an_event("newer", conversation=PLACES[0]))
    while (await answer(store)).event.text != "newer":
        pass
    await bring(other, await lines(store))
    assert [turn.number for turn in await other.memory.turns(PLACES[0], 9)] == list(range(1, 9))
    assert (await other.memory.turns(PLACES[0], 2))[0].text == "newer"
    await accept(other, an_event(conversation=PLACES[0]))
    claims = [await take(other), await take(other)]
    assert [claim.persona for claim in claims if claim.conversation == PLACES[0]] == ["of its own"]


async def test_turns_keep_their_places_where_some_are_missing(store: Store, other: Store) -> None:
    for number in range(4):
        speaker = Speaker("p2" if number in (0, 2) else "p1", "")
        await accept(store, replace(an_event(f"{number}", conversation=PLACES[0]), speaker=speaker))
        await answer(store, window=5)
    await Forget(store.client, store.inbox).person(Person("web", "p2"))
    await bring(other, await lines(store), most=5)
    await accept(other, an_event("next", conversation=PLACES[0]))
    claim = await take(other)
    assert [(turn.number, turn.text) for turn in claim.window] == [(4, "yes"), (7, "3"), (8, "yes")]
    assert claim.last == 8


async def test_of_a_person_comes_what_they_said_and_were_told(store: Store) -> None:
    def said(name: str, text: str, where: Conversation) -> Event:
        return replace(an_event(text, conversation=where), speaker=Speaker(name, name.title()))

    elsewhere = Room("slack", "bot1", {})
    for where in PLACES[:2]:
        for name in ("ann", "bob"):
            await accept(store, said(name, f"{name} asks", where))
            await answer(store, f"{name} is told")
    slack = Conversation.of(elsewhere, 1)
    await accept(store, replace(said("ann", "another ann", slack), room=elsewhere))
    await accept(store, said("ann", "ann waits", PLACES[1]))
    await Aside(store.client, store.inbox).put(said("ann", "ann is set aside", PLACES[1]), 3)
    exporter = Exporter(store.client, store.inbox)
    found = b"\n".join([encode_line(record) async for record in exporter.person(Person("web", "ann"))])
    for text, count in (("ann asks", 2), ("ann is told", 2), ("ann waits", 1), ("ann is set aside", 1)):
        assert found.count(f'"{text}"'.encode()) == count
    assert b"bob" not in found
    assert b"another ann" not in found
    whole = b"\n".join([encode_line(record) async for record in exporter.conversation(PLACES[0])])
    assert whole.count(b'"record":"said"') == 4
    assert b"agreed" not in whole, "nobody was asked"
    marking = Exporter(store.client, store.inbox, agreed=frozenset([Person("web", "ann")]))
    turns = [record for record in [each async for each in marking.everything()] if isinstance(record, Said)]
    assert {turn.turn.text for turn in turns if turn.agreed} == {"ann asks", "ann is told"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([b'{"secret": "words"}'], "line 1 is not one"),
        ([b'{"record": "said", "place": "p", "thread": "", "turn": {"number": 1}}'], "line 1 is not one"),
        ([b'{"record": "place", "place": "p"}'], "the first line"),
        ([b'{"record": "export", "format": 9}'], "has the form 9"),
        ([b'{"record": "export", "format": 1}', b"secret words"], "line 2 is not one"),
    ],
)
async def test_what_is_no_export_is_refused_without_a_word_of_it(
    store: Store, content: list[bytes], why: str
) -> None:
    with pytest.raises(NoExport, match=why) as caught:
        await bring(store, content)
    assert "secret" not in str(caught.value)
