"""What workers know of one another, on a real server."""

import asyncio

from core.store.client import StoreSettings
from core.store.store import Store, open_store
from tests.core.store.steps import eventually


async def test_workers_are_counted_while_they_are_there(store: Store, store_settings: StoreSettings) -> None:
    assert store.fleet.workers == 1
    async with open_store(store_settings) as other:
        await other.fleet.beat()
        await store.fleet.beat()
        assert store.fleet.workers == 2
    await store.fleet.beat()
    assert store.fleet.workers == 1


async def test_a_pause_is_told_to_all(store: Store, store_settings: StoreSettings) -> None:
    now = asyncio.get_running_loop().time()
    async with open_store(store_settings) as other:
        await store.fleet.pause("slack/b1", 30)

        async def heard() -> bool:
            return other.fleet.paused_until("slack/b1") > now + 29

        await eventually(heard)
        assert other.fleet.paused_until("slack/b2") <= now
    assert store.fleet.paused_until("slack/b1") > now + 29


async def test_who_comes_later_learns_of_a_pause_by_its_beat(store: Store, store_settings: StoreSettings) -> None:
    await store.fleet.pause("slack/b1", 30)
    async with open_store(store_settings) as late:
        now = asyncio.get_running_loop().time()
        assert late.fleet.paused_until("slack/b1") <= now
        await late.fleet.beat()
        assert now + 20 < late.fleet.paused_until("slack/b1") < now + 31


async def test_a_shorter_pause_does_not_end_a_longer_one(store: Store) -> None:
    now = asyncio.get_running_loop().time()
    await store.fleet.pause("b", 30)
    await store.fleet.pause("b", 1)
    await store.fleet.beat()
    assert store.fleet.paused_until("b") > now + 29


async def test_a_message_that_cannot_be_read_is_passed_over(store: Store, store_settings: StoreSettings) -> None:
    now = asyncio.get_running_loop().time()
    async with open_store(store_settings) as other:
        channel = store.client.keys.channel("pauses")
        await store.client.read(lambda redis: redis.publish(channel, b"\xc1"))
        await store.fleet.pause("slack/b1", 30)

        async def heard() -> bool:
            return other.fleet.paused_until("slack/b1") > now + 29

        await eventually(heard)


async def test_each_worker_says_which_platforms_it_delivers_to(
    store: Store, store_settings: StoreSettings
) -> None:
    async with open_store(store_settings) as other:
        await store.fleet.beat(["web"])
        await other.fleet.beat(["web"])
        await other.fleet.beat(["slack", "web"])
        assert await store.fleet.others() == [frozenset({"slack", "web"})]
        assert await other.fleet.others() == [frozenset({"web"})]
        assert store.fleet.workers == 2


async def test_worker_that_has_left_is_not_among_the_others(store: Store, store_settings: StoreSettings) -> None:
    async with open_store(store_settings) as other:
        await other.fleet.beat(["web"])
        await other.fleet.leave()
        assert await store.fleet.others() == []


async def test_having_a_look_makes_nobody_a_worker(store: Store, store_settings: StoreSettings) -> None:
    async with open_store(store_settings) as other:
        assert await other.fleet.others() == []
        assert await store.fleet.others() == []


async def test_worker_that_has_missed_its_beats_is_not_counted_on(
    store: Store, store_settings: StoreSettings
) -> None:
    async with open_store(store_settings) as other:
        await other.fleet.beat(["web"])
        key = store.client.keys.fleet("workers")
        [(member, beaten)] = await store.client.read(lambda redis: redis.zrange(key, 0, -1, withscores=True))
        await store.client.read(lambda redis: redis.zadd(key, {member: beaten - 8000}))
        assert await store.fleet.others() == []
