"""A cluster whose slots move, and whose servers die, in the middle of turns."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.errors import StoreUnavailable
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from core.turns import Conversation, Part
from tests.core.store.events import ROOM, an_event
from tests.core.store.servers import Cluster, RedisServer, until
from tests.core.store.steps import accept, answer, complete, eventually, take

PLACES = [Conversation.of(ROOM, f"place {number}") for number in range(100)]


@pytest.fixture(scope="module")
def one_cluster() -> Iterator[Cluster]:
    """One that must be waited for at commit points."""
    with ExitStack() as stack:
        yield Cluster(stack, fsync="everysec")


@pytest.fixture
def cluster(one_cluster: Cluster) -> Cluster:
    one_cluster.clear()
    return one_cluster


@pytest.fixture
def settings(cluster: Cluster, data_dir: Path) -> StoreSettings:
    return StoreSettings(url=cluster.url, data_dir=data_dir, patience=10.0)


def place_on(cluster: Cluster, server: RedisServer) -> Conversation:
    return next(place for place in PLACES if cluster.server_of(place) is server)


async def test_turn_goes_on_after_its_slot_has_moved_in_its_middle(
    cluster: Cluster, settings: StoreSettings
) -> None:
    source, target = cluster.servers[1:]
    place = place_on(cluster, source)
    async with open_store(settings, lease=30.0) as store, open_store(settings) as other:
        await accept(store, an_event("one", conversation=place), an_event("two", conversation=place))
        claim = await take(store)
        await store.claims.showing(claim, 0, "once", 4, final=False)
        await asyncio.to_thread(cluster.move, cluster.slot_of(place), source, target)
        await store.claims.shown(claim, 0, "m1")
        await store.claims.beat([claim])
        await complete(store, claim, "once upon")
        assert not await other.inbox.accept(claim.event)
        await store.claims.delivered(claim)
        assert claim.parts == [Part("once", 4, "m1")]
        assert (await answer(other)).event.text == "two"
        turns = await other.memory.turns(place, 9)
        assert [turn.text for turn in turns] == ["one", "once upon", "two", "yes"]
    await asyncio.to_thread(cluster.move, cluster.slot_of(place), target, source)


async def test_turn_waits_while_the_keys_of_its_slot_are_moved_one_by_one(
    cluster: Cluster, settings: StoreSettings
) -> None:
    source, target = cluster.servers[1:]
    place = place_on(cluster, source)
    async with open_store(settings, lease=30.0) as store, asyncio.TaskGroup() as group:
        await accept(store, an_event("one", conversation=place), an_event("two", conversation=place))
        claim = await take(store)
        moving = cluster.begin_to_move(cluster.slot_of(place), source, target)
        next(moving)  # the first key has gone
        completing = group.create_task(complete(store, claim))
        accepting = group.create_task(accept(store, an_event("three", conversation=place)))
        await asyncio.to_thread(lambda: list(moving))
        await asyncio.gather(completing, accepting)
        await store.claims.delivered(claim)
        assert [(await answer(store)).event.text for _ in range(2)] == ["two", "three"]
    await asyncio.to_thread(cluster.move, cluster.slot_of(place), target, source)


async def test_server_that_is_gone_holds_up_no_other_shard(
    cluster: Cluster, settings: StoreSettings, data_dir: Path
) -> None:
    gone, well = cluster.servers[2], cluster.servers[1]
    there, here = place_on(cluster, gone), place_on(cluster, well)
    hasty = StoreSettings(url=cluster.url, data_dir=data_dir, patience=1.0)
    async with open_store(hasty, beat_every=0.5) as store:
        await accept(store, an_event("there", conversation=there), an_event("here", conversation=here))
        claims = [await take(store), await take(store)]
        held, lost = sorted(claims, key=lambda claim: claim.conversation == there)
        gone.kill()
        async with asyncio.TaskGroup() as group:
            refused = group.create_task(is_refused(store, there))
            ends = held.deadline
            await store.claims.beat([held, lost])
            assert held.deadline > ends
            await complete(store, held)
            await store.claims.delivered(held)
            await accept(store, an_event("next", conversation=here))
            assert (await answer(store)).event.text == "next"
            assert await refused
        gone.ensure()
        until(lambda: gone.ask("CLUSTER INFO")["cluster_state"] == "ok")
        await eventually(lambda: is_taken(store, there))


async def is_refused(store: Store, place: Conversation) -> bool:
    with pytest.raises(StoreUnavailable):
        await store.inbox.accept(an_event(conversation=place))
    return True


async def is_taken(store: Store, place: Conversation) -> bool:
    try:
        return await store.inbox.accept(an_event(conversation=place))
    except StoreUnavailable:
        return False


async def test_turn_goes_on_when_a_replica_takes_the_place_of_its_server(
    cluster: Cluster, settings: StoreSettings
) -> None:
    place = place_on(cluster, cluster.servers[0])
    async with open_store(settings, lease=30.0) as store:
        await accept(store, an_event("one", conversation=place))
        claim = await take(store)
        await store.claims.showing(claim, 0, "once", 4, final=False)
        cluster.kill_first()
        await store.claims.shown(claim, 0, "m1")
        await complete(store, claim)
        await store.claims.delivered(claim)
        await accept(store, an_event("two", conversation=place))
        assert (await answer(store)).event.text == "two"
        assert [turn.number for turn in await store.memory.turns(place, 9)] == [1, 2, 3, 4]
    await asyncio.to_thread(cluster.mend)
