"""Leases on names, on a real server."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.errors import Refused
from core.store.client import StoreSettings
from core.store.leases import Leases
from core.store.store import Store, open_store
from tests.core.store.lossy import Lossy
from tests.core.store.servers import RedisServer
from tests.core.store.steps import PATIENCE, eventually

NAME = "telegram/7000"
SHORT = 0.9


@pytest.fixture
async def other(store_settings: StoreSettings) -> AsyncIterator[Store]:
    """Another process's view of the same store."""
    async with open_store(store_settings) as opened:
        yield opened


class Shift:
    """Work that goes on until it is cancelled, and who was told to stand by. `at_work` is shared by all shifts."""

    at_work = 0

    def __init__(self, store: Store, *, lease: float = SHORT) -> None:
        self.leases = Leases(store.client, lease=lease)
        self.begun = 0
        self.ended = 0
        self.waited_for: list[str] = []
        self._changed = asyncio.Condition()

    async def work(self) -> None:
        assert Shift.at_work == 0, "somebody else is at work"
        Shift.at_work += 1
        await self._count(begun=1)
        try:
            await asyncio.Event().wait()
        finally:
            Shift.at_work -= 1
            await self._count(ended=1)

    async def _count(self, *, begun: int = 0, ended: int = 0) -> None:
        async with self._changed:
            self.begun += begun
            self.ended += ended
            self._changed.notify_all()

    async def until(self, *, begun: int = 0, ended: int = 0) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.begun >= begun and self.ended >= ended)

    async def until_standing_by(self) -> None:
        async def told() -> bool:
            return bool(self.waited_for)

        await eventually(told)

    @asynccontextmanager
    async def there(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.leases.alone(NAME, self.work, standing_by=self.waited_for.append))
            try:
                yield
            finally:
                task.cancel()


async def now(store: Store) -> float:
    """The server's clock, in seconds."""
    seconds, micros = await store.client.read(lambda redis: redis.time())
    return float(seconds + micros / 1e6)


@pytest.fixture(autouse=True)
def nobody_at_work() -> None:
    Shift.at_work = 0


async def test_one_works_and_the_next_takes_over_when_it_goes(store: Store, other: Store) -> None:
    first, second = Shift(store), Shift(other)
    async with first.there():
        await first.until(begun=1)
        async with second.there():
            await second.until_standing_by()
            assert second.begun == 0
            holder = await second.leases.holder(NAME)
            assert second.waited_for == [holder]
            assert holder is not None
            assert str(os.getpid()) in holder
    assert await first.leases.holder(NAME) is None


async def test_lease_that_was_given_back_is_taken_at_once(store: Store, other: Store) -> None:
    first, second = Shift(store, lease=60.0), Shift(other)
    async with asyncio.TaskGroup() as group:
        working = group.create_task(first.leases.alone(NAME, first.work, standing_by=first.waited_for.append))
        await first.until(begun=1)
        async with second.there():
            working.cancel()
            await second.until(begun=1)
    assert first.ended == 1


async def test_lease_of_a_holder_that_died_ends_by_itself(store: Store) -> None:
    shift = Shift(store)
    await shift.leases._ask(NAME, "elsewhere/7/dead", SHORT)
    async with shift.there():
        await shift.until(begun=1)
    assert shift.waited_for == ["elsewhere, process 7"]


async def test_work_goes_on_for_longer_than_one_lease(store: Store, other: Store) -> None:
    first, second = Shift(store, lease=6.0), Shift(other, lease=6.0)  # no machine is busy for so long
    first.leases._renew_every = 0.2
    async with first.there():
        await first.until(begun=1)
        async with second.there():
            end = await now(store) + 6.5

            async def lease_is_long_over() -> bool:
                return await now(store) > end

            await eventually(lease_is_long_over)
            assert (first.ended, second.begun) == (0, 0)


async def test_holder_that_was_paused_ends_its_work_and_stands_by(store: Store, other: Store) -> None:
    first, second = Shift(store), Shift(other)
    async with first.there():
        await first.until(begun=1)
        time.sleep(SHORT)  # noqa: ASYNC251 - as a stopped process

        async def next_has_it() -> bool:
            return await second.leases._ask(NAME, "elsewhere/8/next", 60.0) is None

        await eventually(next_has_it)
        await first.until(ended=1)
        await first.until_standing_by()
        assert first.waited_for == ["elsewhere, process 8"]
    assert await second.leases.holder(NAME) == "elsewhere, process 8"


async def test_holder_that_loses_sight_of_redis_ends_its_work_and_begins_again_when_it_is_back(
    store: Store, redis_server: RedisServer
) -> None:
    shift = Shift(store)
    async with shift.there():
        await shift.until(begun=1)
        redis_server.kill()
        await shift.until(ended=1)
        redis_server.ensure()
        await shift.until(begun=2)


async def test_lease_that_somebody_else_has_after_a_failure_of_redis_is_lost_at_once(store: Store) -> None:
    shift = Shift(store)
    async with shift.there():
        await shift.until(begun=1)
        key = shift.leases._key(NAME)
        await store.client.read(lambda redis: redis.set(key, "elsewhere/9/usurper", px=60_000))
        await shift.until(ended=1)
        await store.client.read(lambda redis: redis.delete(key))
        await shift.until(begun=2)


async def test_what_the_work_raises_comes_out_and_the_lease_is_given_back(store: Store) -> None:
    leases = Leases(store.client)

    async def refused() -> None:
        raise Refused("telegram", "no", fix="Nothing.")

    with pytest.raises(Refused):
        await leases.alone(NAME, refused, standing_by=lambda _holder: None)
    assert await leases.holder(NAME) is None


async def test_time_out_of_the_work_is_not_taken_for_the_end_of_the_lease(store: Store) -> None:
    async def times_out() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Leases(store.client).alone(NAME, times_out, standing_by=lambda _holder: None)


async def test_work_that_ends_by_itself_is_not_begun_again(store: Store) -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("once")

    await Leases(store.client).alone(NAME, work, standing_by=done.append)
    assert done == ["once"]


async def test_lease_whose_answer_was_lost_is_ours_all_the_same(lossy_way: tuple[Lossy, Store]) -> None:
    way, store = lossy_way
    shift = Shift(store)
    way.lose_answer_of("lease")
    async with shift.there():
        await shift.until(begun=1)
        assert shift.waited_for == []
    assert way.lost == 1


async def test_former_holder_cannot_give_back_what_is_not_its_own_any_more(store: Store) -> None:
    leases = Leases(store.client)
    await leases._ask(NAME, "a/1/x", 60.0)
    await leases._give_back(NAME, "b/2/y")
    assert await leases.holder(NAME) == "a, process 1"
    await leases._give_back(NAME, "a/1/x")
    assert await leases.holder(NAME) is None
