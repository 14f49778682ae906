"""A server whose wall clock is set forward and back. No other clock is compared with it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import LeaseLost
from core.store.client import StoreSettings
from core.store.store import open_store
from tests.core.store.events import CONVERSATION, an_event
from tests.core.store.servers import RedisServer
from tests.core.store.steps import accept, answer, complete, take
from tests.installed import installed

HOUR = 3600


class Clock:
    """The server's wall clock."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set_ahead(0)

    def set_ahead(self, seconds: int) -> None:
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


@pytest.fixture
def settings(clock: Clock, tmp_path: Path) -> Iterator[StoreSettings]:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux lets a test set one process's clock")
    shim = tmp_path / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([installed("cc"), "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    environment = {"LD_PRELOAD": str(shim), "CLOCK": str(tmp_path / "clock")}
    with RedisServer(environment=environment) as server:
        yield StoreSettings(url=server.url, data_dir=tmp_path)


@pytest.mark.parametrize("step", [-HOUR, HOUR])
async def test_turn_goes_on_when_the_clock_is_set_in_its_middle(
    settings: StoreSettings, clock: Clock, step: int
) -> None:
    async with open_store(settings) as store, open_store(settings) as other:
        await accept(store, an_event("one"), an_event("two"))
        claim = await take(store)
        clock.set_ahead(step)
        await store.claims.beat([claim])
        assert not claim.lost
        assert await other.claims.take_stale(["web"], 4) == []
        await store.claims.showing(claim, 0, "yes", 3, final=False)
        await complete(store, claim)
        await store.claims.delivered(claim)
        assert (await answer(other)).event.text == "two"
        assert len(await store.memory.turns(CONVERSATION, 9)) == 4


async def test_turn_of_a_dead_worker_is_taken_over_although_the_clock_was_set_back(
    settings: StoreSettings, clock: Clock
) -> None:
    clock.set_ahead(HOUR)
    async with open_store(settings, lease=0.3) as store, open_store(settings, lease=0.3) as heir:
        await accept(store, an_event("one"))
        first = await take(store)
        clock.set_ahead(0)
        second = await take(heir)
        assert (second.event, second.tries) == (first.event, 2)
        with pytest.raises(LeaseLost):
            await complete(store, first)


async def test_worker_whose_lease_ends_early_because_the_clock_was_set_forward_is_refused(
    settings: StoreSettings, clock: Clock
) -> None:
    async with open_store(settings) as store, open_store(settings) as heir:
        await accept(store, an_event("one"))
        first = await take(store)
        clock.set_ahead(HOUR)
        [second] = await heir.claims.take_stale(["web"], 1)
        with pytest.raises(LeaseLost):
            await store.claims.showing(first, 0, "a", 1, final=False)
        await complete(heir, second)
        await heir.claims.delivered(second)
        assert len(await heir.memory.turns(CONVERSATION, 9)) == 2


async def test_event_is_known_as_seen_also_when_the_clock_is_set(settings: StoreSettings, clock: Clock) -> None:
    async with open_store(settings) as store:
        event = an_event()
        await accept(store, event)
        for step in (HOUR, -HOUR):
            clock.set_ahead(step)
            assert not await store.inbox.accept(event)
