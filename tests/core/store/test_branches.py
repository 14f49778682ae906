"""Branches in the store: kept in the step that leaves them, met by whoever passes through; on a real server."""

import base64
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from core.store.aside import Aside
from core.store.branches import MOST, branch, branches, number_of, trunk
from core.store.client import StoreSettings
from core.store.export import Exporter, Said
from core.store.forget import Forget, Person
from core.store.importing import Importer, encode_line
from core.store.renewal import rotate
from core.store.retention import Retention
from core.store.store import Store, open_store
from core.store.upkeep import Upkeep
from core.turns import Conversation, Speaker
from tests.core.store.events import CONVERSATION, ROOM, an_event, two_turns
from tests.core.store.lossy import Lossy
from tests.core.store.steps import accept, answer, take

TOPIC = Conversation.of(ROOM, 7, "topic")


async def say(
    store: Store, *texts: str, where: Conversation = CONVERSATION, who: str = "p1", at: float = 0.0
) -> None:
    for text in texts:
        message = replace(an_event(text, conversation=where), message=text, speaker=Speaker(who, who.title()))
        await accept(store, message)
        claim = await take(store)
        asked, answered = two_turns(message, f"to {text}", last=claim.last)
        turns = [replace(asked, messages=(text,), at=at), replace(answered, messages=(f"m-{text}",), at=at)]
        await store.claims.complete(claim, turns=turns, text="", window=1)
        await store.claims.delivered(claim)


async def change(store: Store, first: int, text: str, where: Conversation = CONVERSATION, who: str = "p1") -> None:
    """The turn number `first` now reads `text`, and is answered anew."""
    await accept(
        store, replace(an_event(text, kind="edit", conversation=where), speaker=Speaker(who, who.title()))
    )
    claim = await take(store)
    turns = two_turns(claim.event, f"to {text}", last=first - 1)
    cut = claim.last - first + 1
    await store.claims.complete(claim, turns=turns, text="", window=None, cut=cut, branching=True)
    assert [turn.number for turn in claim.window][-2:] == [first, first + 1]
    await store.claims.delivered(claim)


async def texts(store: Store, where: Conversation = CONVERSATION) -> list[str]:
    return [turn.text for turn in await store.memory.turns(where, 0)]


async def left(store: Store, where: Conversation = CONVERSATION) -> list[list[str]]:
    return [[turn.text for turn in turns] for turns in await store.memory.branches(where)]


async def names(store: Store) -> set[str]:
    keys: list[bytes] = await store.client.read(lambda redis: redis.keys(store.client.keys.pattern()))
    return {store.client.keys.parse(key.decode())[0] for key in keys}


def forget(store: Store) -> Forget:
    return Forget(store.client, store.inbox)


def test_branch_knows_its_conversation() -> None:
    for conversation in (CONVERSATION, TOPIC):
        for number, each in enumerate(branches(conversation), 1):
            assert (trunk(each), number_of(each)) == (conversation, number)
        assert (branch(conversation, 0), trunk(conversation), number_of(conversation)) == (
            conversation,
            conversation,
            0,
        )


@pytest.mark.parametrize("where", [CONVERSATION, TOPIC])
async def test_what_is_cut_off_is_kept_and_is_no_conversation(store: Store, where: Conversation) -> None:
    await say(store, "one", "two", "three", where=where)
    await change(store, 3, "other", where)
    assert await texts(store, where) == ["one", "to one", "other", "to other"]
    assert await left(store, where) == [["two", "to two", "three", "to three"]]
    assert [each async for each in store.memory.conversations()] == [where]
    await accept(store, an_event("next", conversation=where))
    assert [turn.text for turn in (await take(store)).window] == ["one", "to one", "other", "to other"]


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_branch_is_kept_once_however_often_the_step_is_repeated(
    lossy_way: tuple[Lossy, Store], lost: str
) -> None:
    way, store = lossy_way
    await say(store, "one", "two")
    (way.lose_request_of if lost == "request" else way.lose_answer_of)("complete")
    await change(store, 1, "other")
    assert way.lost == 1
    assert await left(store) == [["one", "to one", "two", "to two"]]


async def test_oldest_branch_goes_when_there_are_too_many(store: Store) -> None:
    await say(store, "0")
    for number in range(1, MOST + 3):
        await say(store, "after")
        await change(store, 1, f"{number}")
    assert [turns[0] for turns in await left(store)] == [f"{number}" for number in range(2, MOST + 2)]


async def test_person_is_forgotten_in_branches_too(store: Store) -> None:
    await say(store, "bob asks", who="bob")
    await say(store, "ann asks", who="ann")
    await say(store, "bob again", who="bob")
    await change(store, 1, "bob asks otherwise", who="bob")
    assert await store.votes.cast(CONVERSATION, "m-bob again", "ann", 1)
    assert await forget(store).person(Person("web", "ann")) == 1
    assert await left(store) == [["bob asks", "to bob asks", "bob again", "to bob again"]]
    assert [turn.votes for turns in await store.memory.branches(CONVERSATION) for turn in turns] == [()] * 4
    assert await forget(store).person(Person("web", "bob")) == 1
    assert await left(store) == []
    assert not await names(store) & set("cqtr")


async def test_message_that_is_deleted_is_forgotten_in_branches_too(store: Store) -> None:
    await say(store, "one", "two", "three")
    await change(store, 1, "other")
    assert await forget(store).message(CONVERSATION, "two") == 1
    assert await left(store) == [["one", "to one", "three", "to three"]]
    assert await texts(store) == ["other", "to other"]


@pytest.mark.parametrize("how", ["conversation", "room", "everything"])
async def test_conversation_is_forgotten_with_its_branches(store: Store, how: str) -> None:
    await say(store, "one", "two", where=TOPIC)
    await change(store, 1, "other", TOPIC)
    forgetting = forget(store)
    gone = {
        "conversation": lambda: forgetting.conversation(TOPIC),
        "room": lambda: forgetting.room(TOPIC.place),
        "everything": forgetting.everything,
    }
    assert await gone[how]() == 1
    assert not await names(store) & set("cqtr")


async def test_branch_that_is_too_old_goes(store: Store) -> None:
    await say(store, "old", "older", at=time.time() - 10 * 86400)
    await change(store, 1, "new")
    retention = Retention(store.client, Aside(store.client, store.inbox), keep=timedelta(days=7), max_turns=2000)
    await Upkeep(store.client, retention, pause=0).once()
    assert await left(store) == []
    assert await texts(store) == ["new", "to new"]


@pytest.fixture
async def other(store_settings: StoreSettings) -> AsyncIterator[Store]:
    """An empty store with other shards."""
    async with open_store(replace(store_settings, prefix="other", shards=5)) as opened:
        yield opened


async def test_export_has_branches_and_brings_them_into_another_store_once(store: Store, other: Store) -> None:
    await say(store, "one", "two", where=TOPIC)
    await say(store, *(f"{number}" for number in range(70)))
    await change(store, 1, "other", TOPIC)
    await change(store, 3, "1 changed")
    exporter = Exporter(store.client, store.inbox)
    exported = [encode_line(record) async for record in exporter.everything()]
    for _ in range(2):
        await Importer(other.client, other.inbox, most=2000).read(exported)
        for where in (TOPIC, CONVERSATION):
            assert await left(other, where) == await left(store, where) != []
            assert await texts(other, where) == await texts(store, where)
    await say(other, "new")
    await change(other, 5, "newer")
    assert len(await left(other)) == 2
    await Importer(store.client, store.inbox, most=2000).read(exported)
    assert {encode_line(record) async for record in exporter.everything()} == set(exported), "it was there already"
    of_topic = [record async for record in exporter.conversation(TOPIC) if isinstance(record, Said)]
    assert [(said.branch, said.thread, said.turn.text) for said in of_topic] == [
        *[(0, "topic", text) for text in ("other", "to other")],
        *[(1, "topic", text) for text in ("one", "to one", "two", "to two")],
    ]
    for where in (TOPIC, CONVERSATION):
        await forget(other).conversation(where)
    assert not await names(other) & set("cqtr")


async def test_branches_are_encrypted_anew_with_the_first_key(store_settings: StoreSettings) -> None:
    old, new = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
    async with open_store(replace(store_settings, encryption_keys=(old,))) as store:
        await say(store, "one", "two")
        await change(store, 1, "other")
    async with open_store(replace(store_settings, encryption_keys=(new, old))) as store:
        await rotate(store.client)
    async with open_store(replace(store_settings, encryption_keys=(new,))) as store:
        assert await left(store) == [["one", "to one", "two", "to two"]]


async def test_memory_is_answered_after_a_branch_as_if_nothing_had_been(store: Store) -> None:
    await say(store, "one", "two")
    await change(store, 1, "other")
    await accept(store, an_event("next"))
    assert (await answer(store)).last == 4
    assert await texts(store) == ["other", "to other", "next", "yes"]
