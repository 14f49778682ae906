"""Where messages are remembered whose room does not say it; on a real server."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.scope import Scope, scoped
from core.store.client import StoreSettings
from core.store.forget import Forget, Person
from core.store.store import Store, open_store
from core.turns import Conversation, Event, Room, Speaker
from tests.core.store.events import an_event
from tests.core.store.steps import accept, answer, complete, take

ROOM = Room("web", "bot1", {"channel": 7})
HERE = Conversation.of(ROOM, "room{1}", "topic")
ANN, BOB = Speaker("ann-1", "Ann"), Speaker("bob-1", "Bob")


def said(speaker: Speaker, message: str, *, scope: Scope = "person", link: str = "") -> Event:
    event = replace(an_event(message, conversation=HERE), speaker=speaker, message=message, shared=True)
    return scoped(event, scope, link)


def about(message: str, *, scope: Scope = "person") -> Event:
    """A platform that does not say who did it tells of the message."""
    event = replace(an_event(kind="delete", conversation=HERE), speaker=Speaker(""), target=message, shared=True)
    return scoped(event, scope)


async def marks(store: Store) -> list[str]:
    found: list[bytes] = await store.client.read(lambda redis: redis.keys("*:w:*"))
    return sorted(key.decode().rpartition("\0")[2] for key in found)


@pytest.fixture
async def talked(store: Store) -> Store:
    """Ann, who is known elsewhere too in the end, and Bob have each said something, and were answered."""
    for speaker, message, link in ((ANN, "m1", ""), (BOB, "m2", ""), (ANN, "m3", "l")):
        await accept(store, said(speaker, message, link=link))
        claim = await take(store, ["web", "people"])
        await store.claims.showing(claim, 0, "hello", 5, final=True)
        await store.claims.shown(claim, 0, f"answer to {message}")
        await complete(store, claim)
        await store.claims.delivered(claim)
    return store


async def test_message_and_its_answer_are_found_by_where_they_stand(talked: Store) -> None:
    for message, conversation in (
        ("m1", Conversation(HERE.place, "@ann-1")),
        ("m2", Conversation(HERE.place, "@bob-1")),
        ("m3", Conversation("people/l/rooms")),
    ):
        for standing in (message, f"answer to {message}"):
            for scope in ("person", "thread", "channel"):
                assert await talked.whereabouts.of(about(standing, scope=scope)) == [conversation]


async def test_where_the_room_says_it_nothing_is_kept(store: Store) -> None:
    for number, scope in enumerate(("thread", "channel", "server")):
        await accept(store, said(ANN, f"m{number}", scope=scope))  # type: ignore[arg-type]
        await answer(store)
    assert await marks(store) == []
    assert await store.whereabouts.of(about("m0", scope="thread")) == [HERE]
    assert await store.whereabouts.of(about("m0", scope="channel")) == [Conversation(HERE.place), HERE]


async def test_message_that_comes_again_is_found_though_its_taker_ended_at_once(store: Store) -> None:
    event = said(ANN, "m1")
    await accept(store, event)
    key = store.client.keys.whereabouts(HERE, "m1")
    await store.client.ask("DEL", key, key=key)  # as if it had ended here
    assert not await store.inbox.accept(event)
    assert await marks(store) == ["m1"]


async def test_what_is_not_wanted_in_a_quiet_place_leaves_nothing(store: Store) -> None:
    await store.places.put(HERE, "quiet", "on")
    assert not await store.inbox.accept(replace(said(ANN, "m1"), called=False))
    assert await marks(store) == []


async def test_it_is_kept_as_long_as_turns_are(store_settings: StoreSettings) -> None:
    day = 24 * 3600
    for keep, seconds in ((timedelta(days=3), 3 * day), (None, 365 * day)):
        async with open_store(replace(store_settings, keep=keep, prefix=f"keeps-{seconds}")) as store:
            await accept(store, said(ANN, "m1"))
            key = store.client.keys.whereabouts(HERE, "m1")
            assert seconds - 60 <= await store.client.ask("TTL", key, key=key) <= seconds


async def test_it_goes_with_the_person(talked: Store) -> None:
    forget = Forget(talked.client, talked.inbox)
    await forget.person(Person("other", ANN.id))
    assert len(await marks(talked)) == 6
    await forget.person(Person("web", ANN.id))
    assert await marks(talked) == ["answer to m2", "m2"]
    left: list[bytes] = await talked.client.read(lambda redis: redis.keys("*ann-1*"))
    assert left == []


async def test_it_goes_with_the_conversation_and_with_the_room(talked: Store) -> None:
    forget = Forget(talked.client, talked.inbox)
    await forget.conversation(Conversation(HERE.place, "@bob-1"))
    assert await marks(talked) == ["answer to m1", "answer to m3", "m1", "m3"]
    await forget.room(HERE.place)
    assert await marks(talked) == []
