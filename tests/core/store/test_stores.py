"""The same turns on each kind of store: embedded, one server, an older server, Sentinel and Cluster."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from core.store.client import StoreSettings
from core.store.forget import Forget
from core.store.store import Store, open_store
from core.turns import Conversation, Part
from tests.core.store.events import ROOM, an_event
from tests.core.store.servers import Cluster, Pair, RedisServer
from tests.core.store.steps import accept, answer, complete, eventually, take
from tests.installed import installed

PLACES = [Conversation.of(ROOM, f"place {number}") for number in range(20)]


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=["embedded", "valkey", "redis", "sentinel", "cluster"], scope="module")
def url(request: pytest.FixtureRequest, stack: ExitStack) -> str:
    match request.param:
        case "valkey":
            return stack.enter_context(RedisServer()).url
        case "redis":
            return stack.enter_context(RedisServer(program=installed("redis-server"))).url
        case "sentinel":
            return Pair(stack).url
        case "cluster":
            return Cluster(stack).url
    return "embedded"


@pytest.fixture(scope="module")
def settings(url: str, tmp_path_factory: pytest.TempPathFactory) -> StoreSettings:
    return StoreSettings(url=url, data_dir=tmp_path_factory.mktemp("data"))


async def test_turn_goes_from_accept_to_memory(settings: StoreSettings) -> None:
    async with open_store(settings) as store, open_store(settings) as other:
        event = an_event("hello", conversation=PLACES[0])
        assert await store.inbox.accept(event)
        assert not await other.inbox.accept(event)
        claim = await take(other)
        async with store.inbox.watch(PLACES[0]) as changes:
            await other.claims.showing(claim, 0, "yes", 3, final=False)
            assert (await anext(changes)).text == "yes"
        await other.claims.shown(claim, 0, "m1")
        await other.claims.beat([claim])
        assert claim.parts == [Part("yes", 3, "m1")]
        await complete(other, claim)
        await other.claims.delivered(claim)
        assert [turn.text for turn in await store.memory.turns(PLACES[0], 9)] == ["hello", "yes"]


async def test_conversations_of_all_shards_are_answered_each_in_order(settings: StoreSettings) -> None:
    async with open_store(settings) as store:
        for text in ("one", "two"):
            await accept(store, *(an_event(text, conversation=place) for place in PLACES))
        answered = [await answer(store) for _ in range(2 * len(PLACES))]
        for place in PLACES:
            assert [claim.event.text for claim in answered if claim.conversation == place] == ["one", "two"]
        assert {conversation async for conversation in store.memory.conversations()} == set(PLACES)


async def test_stop_help_and_what_an_adapter_keeps(settings: StoreSettings) -> None:
    async with open_store(settings) as store, store.claims.stops() as stopped:
        await accept(store, an_event(conversation=PLACES[1]))
        claim = await take(store)
        await accept(store, an_event(kind="stop", conversation=PLACES[1]), an_event(kind="help"))
        assert await anext(aiter(stopped)) == PLACES[1]
        await store.claims.beat([claim])
        assert claim.stopped
        await complete(store, claim)
        await store.claims.delivered(claim)
        [entry] = await eventually(lambda: store.control.take(["web"], 1, wait=1))
        await store.control.done(entry)
        await store.fleet.beat()
        assert store.fleet.workers == 1


async def test_stores_with_other_prefixes_do_not_see_each_other(settings: StoreSettings) -> None:
    async with (
        open_store(replace(settings, prefix="a")) as a,
        open_store(replace(settings, prefix="b", shards=3)) as b,
        a.claims.stops() as stopped,
    ):
        event = an_event("of a", conversation=PLACES[3])
        assert await a.inbox.accept(event)
        assert await b.inbox.accept(replace(event, text="of b"))
        claim = await take(a)
        await accept(b, an_event(kind="stop", conversation=PLACES[3]))
        await accept(a, an_event(kind="stop", conversation=PLACES[3]))
        assert await anext(aiter(stopped)) == PLACES[3]
        await complete(a, claim)
        await a.claims.delivered(claim)
        assert claim.event.text == "of a"
        assert (await answer(b)).event.text == "of b"
        for store in (a, b):
            assert [place async for place in store.memory.conversations()] == [PLACES[3]]
        await Forget(b.client, b.inbox).everything()
        assert len(await a.memory.turns(PLACES[3], 9)) == 2


async def test_claim_of_a_store_that_was_left_is_taken_over(settings: StoreSettings) -> None:
    async with open_store(settings, lease=0.3) as store:
        await accept(store, an_event("left", conversation=PLACES[2]))
        await take(store)

    async def taken(store: Store) -> bool:
        return any(claim.event.text == "left" for claim in await store.claims.take(["web"], 1, wait=0.1))

    async with open_store(settings, lease=0.3) as store:
        assert await eventually(lambda: taken(store))
