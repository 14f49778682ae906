"""A person whose accounts are joined: one conversation on several platforms, answered where each message was."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.collecting import together
from core.engine.scripted import ScriptedEngine
from core.guard import Guard, GuardSettings
from core.names import Names
from core.scope import PEOPLE, scoped
from core.store.client import StoreSettings
from core.store.export import Exporter, Said
from core.store.forget import Forget, Person
from core.store.links import Links
from core.store.store import Store, open_store
from core.turns import Conversation, Event, Room, Speaker
from core.worker import WorkerSettings
from tests.core.rooms import Chat, event, working
from tests.core.store.steps import eventually

ROOMS = {name: Room(name, "bot", {"chat": 1}) for name in ("test", "other")}
LINKED = Conversation(f"{PEOPLE}/l/private")


def said(number: int, platform: str = "test", *, speaker: str = "ann") -> Event:
    """Something that a person says in private."""
    room = ROOMS[platform]
    home = Conversation.of(room, "chat")
    made = event(number, room=room, conversation=home, speaker=Speaker(speaker), home=None)
    return replace(made, id=f"{platform}/bot/chat/{number}")


def linked(number: int, platform: str = "test", *, speaker: str = "ann") -> Event:
    return scoped(said(number, platform, speaker=speaker), "thread", "l")


@pytest.fixture
async def elsewhere(store_settings: StoreSettings) -> AsyncIterator[Store]:
    async with open_store(store_settings) as opened:
        yield opened


async def test_each_message_is_answered_by_a_worker_that_delivers_there(store: Store, elsewhere: Store) -> None:
    here, there = Chat(), Chat()
    async with working(store, {"test": here.deliver}), working(elsewhere, {"other": there.deliver}):
        for number, platform in enumerate(("test", "other", "other", "test"), 1):
            await store.inbox.accept(linked(number, platform))
        assert await here.until_finished(2) == ["You said: message 1", "You said: message 4"]
        assert await there.until_finished(2) == ["You said: message 2", "You said: message 3"]
    turns = await store.memory.turns(LINKED, 9)
    assert [turn.text for turn in turns if turn.role == "user"] == [f"message {number}" for number in (1, 2, 3, 4)]


async def test_message_for_a_platform_without_workers_waits_until_there_is_one(
    store: Store, elsewhere: Store
) -> None:
    here, there = Chat(), Chat()
    async with working(store, {"test": here.deliver}):
        await store.inbox.accept(linked(1, "other"))
        await store.inbox.accept(linked(2, "test"))
        await store.inbox.accept(said(3))
        assert await here.until_finished(1) == ["You said: message 3"]
        async with working(elsewhere, {"other": there.deliver}):
            assert await there.until_finished(1) == ["You said: message 1"]
            assert (await here.until_finished(2))[1] == "You said: message 2"


async def is_left_after(claims: int, store: Store) -> bool:
    """Whether the conversation that is on several platforms is nobody's, after so many claims."""
    key = store.client.keys.conversation("c", LINKED)
    fence, owner = await store.client.ask("HMGET", key, "fence", "own", key=key)
    return (int(fence or 0), owner) == (claims, None)


async def test_message_for_another_platform_is_left_alone_until_there_is_somebody(
    store: Store, elsewhere: Store
) -> None:
    here, there = Chat(), Chat()
    ready = store.client.keys.queue("ready", "other", LINKED)
    async with working(store, {"test": here.deliver}):
        await store.inbox.accept(linked(1, "other"))
        await eventually(lambda: store.client.ask("XLEN", ready, key=ready))
        for number in range(1, 21):
            await store.inbox.accept(said(number))
            await here.until_finished(number)
        assert await is_left_after(1, store)
        async with working(elsewhere, {"other": there.deliver}):
            assert await there.until_finished(1) == ["You said: message 1"]
            await eventually(lambda: is_left_after(2, store))


async def test_message_for_another_bot_of_the_platform_is_not_claimed_again_and_again(
    store_settings: StoreSettings,
) -> None:
    names, second = Names(), Room("test", "second", {"chat": 1})
    names.know("test/bot", "test")
    names.know("test/second", "test/second")
    home = Conversation.of(second, "chat")
    to_second = replace(linked(1), id=f"{home}/1", room=second, home=home)
    chat = Chat()
    async with (
        open_store(store_settings, lease=3600.0, beat_every=1200.0) as patient,
        working(patient, {"test": chat.deliver}, names=names),
    ):
        await patient.inbox.accept(to_second)
        await eventually(lambda: is_left_after(2, patient))
        for number in range(1, 21):
            await patient.inbox.accept(said(number))
            await chat.until_finished(number)
        assert await is_left_after(2, patient)


async def test_what_may_have_been_overwritten_is_shown_again_where_it_was_said(
    store_settings: StoreSettings,
) -> None:
    slow, quick = Chat(), Chat()
    async with (
        open_store(store_settings, lease=0.2, beat_every=60.0) as forgetful,
        open_store(store_settings, lease=0.5, beat_every=0.1) as other,
        working(forgetful, {"test": slow.deliver}, ScriptedEngine(delay=2.0), WorkerSettings(concurrency=1)),
    ):
        await forgetful.inbox.accept(linked(1))
        await slow.until(lambda chat: bool(chat.texts))
        async with working(other, {"test": quick.deliver}):
            await quick.until_finished(1)
            await quick.until(lambda chat: chat.texts.get(f"{said(1).id}:1:show") == "You said: message 1")
            await other.inbox.accept(linked(2))
            await quick.until(lambda chat: chat.texts.get(said(2).id) == "You said: message 2")


def test_messages_of_several_rooms_are_not_answered_together() -> None:
    first, second, third = linked(1), linked(2, "other"), linked(3)
    assert together(first, [second, third]).count == 1
    assert together(first, [third]).count == 2
    threads = [
        scoped(replace(said(number), shared=True, conversation=Conversation("test/bot/room", name)), "channel")
        for number, name in enumerate(("a", "b", "a"))
    ]
    assert together(threads[0], threads[1:]).count == 1


async def test_another_ones_account_of_the_same_number_is_another_one(store: Store) -> None:
    chat = Chat()
    async with working(store, {"test": chat.deliver, "other": chat.deliver}):
        for number, one in enumerate((linked(1, speaker="7"), linked(2, "other", speaker="8")), 1):
            await store.inbox.accept(one)
            await chat.until_finished(number)
    forget = Forget(store.client, store.inbox)
    assert await forget.person(Person("other", "7"), Person("test", "8")) == 0
    exporter = Exporter(store.client, store.inbox)
    exported = [each async for each in exporter.person(Person("test", "7")) if isinstance(each, Said)]
    assert [each.turn.text for each in exported] == ["message 1", "You said: message 1"]
    assert await forget.person(Person("test", "7"), Person("other", "8")) == 1
    assert await store.memory.turns(LINKED, 9) == []


async def test_guard_knows_where_memory_follows(store: Store) -> None:
    links = Links(store.client)
    private, room = said(1), replace(said(1), conversation=Conversation("test/bot/room", "topic"), shared=True)
    code = await links.offer("other/ann", "other/bot/chat", "Ann")
    await links.join("test/ann", private.conversation.place, code)
    link = await links.of("test/ann")

    async def placed(change: Event, scope: str = "", quiet: str = "") -> Event | None:
        for name, value in (("scope", scope), ("quiet", quiet)):
            await store.places.put(change.conversation, name, value)
        number = len(seen)
        seen.append(number)
        await Guard(store, GuardSettings()).accept(replace(change, id=f"{change.id}/{number}"))
        claims = await store.claims.take(["test", "other", PEOPLE], 1, wait=0.1 if quiet else 10)
        for claim in claims:
            await store.claims.complete(claim, turns=(), text="", window=None)
            await store.claims.delivered(claim)
        return claims[0].event if claims else None

    async def conversation(change: Event, scope: str = "") -> str:
        found = await placed(change, scope)
        assert found is not None
        return str(found.conversation)

    seen: list[int] = []
    bob = Speaker("bob")
    follows = f"{PEOPLE}/{link}"
    assert await conversation(private) == f"{follows}/private"
    assert await conversation(private, "person") == f"{follows}/private"
    assert await conversation(private, "thread") == "test/bot/chat"
    assert await conversation(room, "person") == f"{follows}/rooms"
    assert await conversation(room, "thread") == "test/bot/room/topic"
    assert await conversation(room, "channel") == "test/bot/room"
    assert await conversation(replace(room, speaker=bob), "person") == "test/bot/room/@bob"
    assert await conversation(replace(private, speaker=bob), "person") == "test/bot/chat", "another one is there"
    assert await conversation(replace(private, speaker=Speaker("")), "person") == f"{follows}/private"
    found = await placed(replace(room, server="99"), "person")
    assert found is not None and (found.home, found.server) == (room.conversation, "")
    assert await placed(replace(room, called=False), "person", "on") is None
    assert await placed(replace(room, called=False), "person") is not None


async def test_what_is_set_for_a_room_is_set_for_everybody_there(store: Store) -> None:
    links, guard = Links(store.client), Guard(store, GuardSettings(scope="person"))
    code = await links.offer("other/ann", "other/bot/chat", "Ann")
    await links.join("test/ann", said(1).conversation.place, code)
    room = Conversation("test/bot/room", "topic")
    setting = replace(said(1), kind="setting", text="quiet on", manages=True)
    await guard.accept(replace(setting, conversation=room, shared=True))
    await guard.accept(replace(setting, id="in private"))
    [public, private] = [entry.event for entry in await store.control.take(["test"], 8, wait=10)]
    if public.id == "in private":
        public, private = private, public
    assert public.conversation.place == room.place
    assert private.conversation.place.startswith(PEOPLE)


async def test_code_is_tried_some_times_and_not_more(store: Store) -> None:
    chat = Chat()
    code = await Links(store.client).offer("other/ann", "other/bot/chat", "Ann")
    async with working(store, chat.deliver):
        for number in range(1, 8):
            tried = "AAAA-AAAA" if number < 7 else code
            await store.inbox.accept(replace(said(number), kind="command", text=f"link {tried}"))
            await chat.until_finished(number)
    assert sum("no such code" in text for text in chat.finished) == 5
    assert sum("I answer again in" in text for text in chat.finished) == 2
    assert await Links(store.client).accounts("test/ann") == ["test/ann"]
