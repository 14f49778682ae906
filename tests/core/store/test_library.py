"""A person's list of conversations, on a real server."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from core.store import titles
from core.store.aside import Aside
from core.store.client import StoreSettings
from core.store.export import Exporter
from core.store.forget import Forget, Person
from core.store.importing import Importer, encode_line
from core.store.renewal import rotate
from core.store.retention import Retention
from core.store.store import Store, open_store
from core.store.walk import Walk
from core.turns import Conversation, Room
from tests.core.store.events import an_event
from tests.core.store.steps import accept, answer

ROOM = Room("web", "local", {})
PLACE = Conversation.of(ROOM, "ann").place
ONE, TWO, OTHERS = Conversation(PLACE, "one"), Conversation(PLACE, "two"), Conversation.of(ROOM, "bob", "one")
KEYS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop" + end for end in ("k=", "s="))


async def listed(store: Store) -> list[tuple[str, str]]:
    return [(each.conversation.thread, each.title) for each in await store.library.all(PLACE)]


async def said(store: Store, conversation: Conversation, text: str, reply: str) -> None:
    await store.library.note(conversation, text, time.time())
    await accept(store, an_event(text, conversation=conversation))
    await answer(store, reply)


async def test_title_is_the_first_words_and_the_order_is_who_spoke_last(store: Store) -> None:
    for conversation, words, at in ((ONE, "  The first\nwords ", 1), (TWO, "Second", 2), (ONE, "Later words", 3)):
        assert await store.library.note(conversation, words, at)
    assert await listed(store) == [("one", "The first words"), ("two", "Second")]
    assert await store.library.all(OTHERS.place) == []


async def test_long_words_are_cut_between_two(store: Store) -> None:
    await store.library.note(ONE, "word " * 100, 1)
    await store.library.note(TWO, "x" * 100, 0)
    (_, words), (_, unbroken) = await listed(store)
    assert words == "word " * 11 + "word…"
    assert unbroken == "x" * 60 + "…"


async def test_new_title_stays(store: Store) -> None:
    await store.library.note(ONE, "first words", 1)
    await store.library.rename(ONE, " A  better\none ")
    await store.library.rename(ONE, "  ")
    await store.library.note(ONE, "more words", 2)
    await store.library.rename(TWO, "of nothing")
    assert await listed(store) == [("one", "A better one")]


async def test_place_lists_so_many_and_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(titles, "MOST", 1)
    assert await store.library.note(ONE, "first", 1)
    assert not await store.library.note(TWO, "second", 2)
    assert await store.library.note(ONE, "again", 3)
    assert await listed(store) == [("one", "first")]


async def test_search_finds_titles_and_what_both_have_said(store: Store) -> None:
    await said(store, ONE, "Tell me of rivers", "The Rhine flows north, past STRASSBURG, and on to the sea. " * 3)
    await said(store, TWO, "Bread", "Flour and water")
    found = await store.library.find(PLACE, "straßburg  rhine")
    assert [(each.conversation, "STRASSBURG" in each.excerpt) for each in found] == [(ONE, True)]
    assert [(each.conversation, each.excerpt) for each in await store.library.find(PLACE, "BREAD")] == [(TWO, "")]
    assert await store.library.find(PLACE, "bread rhine") == []
    assert len(await store.library.find(PLACE, " ")) == 2
    assert await store.library.find(OTHERS.place, "rhine") == []


async def test_what_is_forgotten_is_listed_no_more(store: Store) -> None:
    forget = Forget(store.client, store.inbox)
    for conversation in (ONE, TWO):
        await said(store, conversation, "hello", "yes")
    await store.library.forget(ONE)
    assert await listed(store) == [("two", "hello")]
    assert await store.library.find(PLACE, "hello") == await store.library.all(PLACE)
    await forget.person(Person("web", "p1"))
    assert await listed(store) == []


async def test_old_ones_go_with_their_turns(store: Store) -> None:
    now = time.time()
    await store.library.note(ONE, "long ago", now - 900)
    await store.library.note(TWO, "just now", now)
    retention = Retention(
        store.client, Aside(store.client, store.inbox), keep=timedelta(seconds=600), max_turns=10
    )
    async for page in Walk(store.client).keys("p"):
        await retention.apply(page)
    assert await listed(store) == [("two", "just now")]


async def test_titles_are_exported_and_imported(store: Store) -> None:
    await store.library.note(ONE, "kept", 5.0)
    lines = [encode_line(each) async for each in Exporter(store.client, store.inbox).everything()]
    await store.library.drop(ONE)
    await Importer(store.client, store.inbox, most=10).read(lines)
    [back] = await store.library.all(PLACE)
    assert (back.conversation, back.title, back.at) == (ONE, "kept", 5.0)


async def test_titles_are_encrypted_and_renewed(store_settings: StoreSettings) -> None:
    old, new = (replace(store_settings, encryption_keys=keys) for keys in (KEYS[:1], KEYS[::-1]))
    async with open_store(old) as store:
        await store.library.note(ONE, "a secret", 1)
        key = store.client.keys.place(ONE)
        [record] = (await store.client.ask("HGETALL", key, key=key)).values()
        assert b"secret" not in record
    async with open_store(new) as store:
        await rotate(store.client)
    async with open_store(replace(store_settings, encryption_keys=KEYS[1:])) as store:
        assert await listed(store) == [("one", "a secret")]


async def test_two_who_speak_at_once_lose_no_title(store: Store) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(store.library.note(Conversation(PLACE, str(number)), f"words {number}", number))
    assert {title for _, title in await listed(store)} == {f"words {number}" for number in range(10)}
