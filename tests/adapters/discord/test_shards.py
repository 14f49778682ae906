"""A bot with several connections to the gateway: each hears of its own servers, and one that is lost holds up no
other.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest

from adapters.discord.adapter import DiscordAdapter
from adapters.discord.doctor import check
from adapters.discord.shards import Shard, Turns
from core.engine.scripted import ScriptedEngine
from core.errors import Refused
from core.store.store import Store
from tests.adapters.delivery.virtual_time import in_virtual_time
from tests.adapters.discord.notebook import Alone, Notebook
from tests.contracts.discord_rig import QUICK, settings_for
from tests.fakes.discord import FakeDiscord
from tests.running import running


@asynccontextmanager
async def listening(
    fake: FakeDiscord, inbox: Notebook, shards: int, **patience: float
) -> AsyncIterator[DiscordAdapter]:
    """A bot with so many shards, all of which have a session when the block is entered."""
    settings = settings_for(fake, shards=shards)
    async with (
        DiscordAdapter(settings, Alone(), patience=replace(QUICK, **patience)) as adapter,  # type: ignore[arg-type]
        asyncio.TaskGroup() as group,
    ):
        task = group.create_task(adapter.listen(inbox))
        await until(lambda: fake.gateway.shards == list(range(shards)) and adapter.wire.connected)
        yield adapter
        task.cancel()


async def until(holds: Callable[[], bool]) -> None:
    """Also what no change of the platform tells of."""
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def rooms(fake: FakeDiscord, count: int) -> list[str]:
    """A room for each shard, in a server of its own."""
    names = [f"room-{number}" for number in range(count)]
    for number, name in enumerate(names):
        fake.world.room(name, fake.world.server(number, count))
    return names


async def test_each_server_is_heard_once_whichever_shard_it_belongs_to(fake: FakeDiscord, inbox: Notebook) -> None:
    names = rooms(fake, 3)
    async with listening(fake, inbox, 3):
        for name in names:
            fake.say(name, room=name, mention=True)
        fake.say("directly")
        await fake.until(lambda: sorted(inbox.texts) == ["directly", *names])
    assert sorted(shard for _, shard in fake.gateway.began) == [0, 1, 2]


async def test_shards_begin_one_after_another(fake: FakeDiscord, inbox: Notebook) -> None:
    fake.gateway.spacing = 0.2
    async with listening(fake, inbox, 3, between_sessions=0.25):
        pass
    assert [shard for _, shard in fake.gateway.began] == [0, 1, 2]
    assert fake.gateway.too_soon == 0


def kept_alive() -> set[threading.Thread]:
    """The threads that keep connections alive."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("keep-alive-handler")}


async def test_session_that_is_not_made_yet_leaves_nothing_that_keeps_it_alive(
    fake: FakeDiscord, inbox: Notebook
) -> None:
    others = kept_alive()
    async with listening(fake, inbox, 1, new_session=(60.0, 60.0)):  # type: ignore[arg-type]
        first = kept_alive()
        fake.gateway.forget()
        await until(lambda: bool(kept_alive() - first))
        await asyncio.sleep(0.3)  # what cannot be resumed is made anew
    await until(lambda: kept_alive() <= others)


async def test_as_many_shards_as_discord_allows_begin_at_once(fake: FakeDiscord, inbox: Notebook) -> None:
    fake.rest.at_once = fake.gateway.lanes = 4
    async with listening(fake, inbox, 4, between_sessions=60.0):
        pass
    assert len(fake.gateway.began) == 4


@in_virtual_time
async def test_turns_of_one_lane_are_apart_also_when_somebody_gives_up() -> None:
    turns, loop = Turns(every=0.05), asyncio.get_running_loop()
    await turns.next(Shard(0, 3))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await turns.next(Shard(1, 3))
    began = loop.time()
    await turns.next(Shard(2, 3))
    assert loop.time() - began < 0.1


async def test_what_one_shard_missed_is_read_though_another_heard_newer_messages(
    fake: FakeDiscord, inbox: Notebook
) -> None:
    first, second = rooms(fake, 2)
    async with listening(fake, inbox, 2) as adapter:
        fake.say("before", room=second, mention=True)
        await fake.until(lambda: inbox.texts == ["before"])
        fake.gateway.refuse(1)  # so that there is time
        fake.gateway.forget_shard(1)
        fake.say("missed", room=second, mention=True)
        fake.say("meanwhile", room=first, mention=True)
        await fake.until(lambda: sorted(inbox.texts) == ["before", "meanwhile", "missed"])
        await until(lambda: adapter.wire.connected)
    assert [shard for _, shard in fake.gateway.began].count(0) == 1  # the other one stayed


async def test_what_was_said_while_no_process_was_there_is_read_by_each_shard(
    fake: FakeDiscord, inbox: Notebook
) -> None:
    names = rooms(fake, 2)
    async with listening(fake, inbox, 2):
        for name in names:
            fake.say("before", room=name, mention=True)
        await fake.until(lambda: len(inbox.texts) == 2 and bool(inbox.values))
    for name in names:
        fake.say(f"in {name}", room=name, mention=True)
    async with listening(fake, inbox, 2):
        await fake.until(lambda: sorted(inbox.texts)[2:] == ["in room-0", "in room-1"])


async def test_as_many_as_discord_wants_also_when_that_becomes_more(fake: FakeDiscord, inbox: Notebook) -> None:
    fake.rest.shards = 2
    settings = settings_for(fake)
    async with DiscordAdapter(settings, Alone(), patience=QUICK) as adapter, asyncio.TaskGroup() as group:
        task = group.create_task(adapter.listen(inbox))
        await fake.until(lambda: fake.gateway.shards == [0, 1])
        fake.rest.shards = fake.gateway.fewest_shards = 3
        fake.gateway.forget()
        await fake.until(lambda: fake.gateway.shards == [0, 1, 2])
        task.cancel()


async def test_too_few_that_were_set_are_refused_with_the_way_out(fake: FakeDiscord, inbox: Notebook) -> None:
    fake.gateway.fewest_shards = 3
    async with DiscordAdapter(settings_for(fake, shards=2), Alone(), patience=QUICK) as adapter:
        with pytest.raises(Refused, match=r"Set discord\.shards"):
            await adapter.listen(inbox)


async def test_readiness_and_metrics_know_each_shard(store: Store, fake: FakeDiscord) -> None:
    adapter = DiscordAdapter(settings_for(fake, shards=2), store.fleet, patience=QUICK)
    address = ("127.0.0.1", 0)
    async with (
        running(adapter, store=store, engine=ScriptedEngine(), address=address) as bot,
        aiohttp.ClientSession() as session,
    ):

        async def ready() -> tuple[int, dict[str, bool]]:
            async with session.get(f"{bot.url}/readyz") as answer:
                return answer.status, await answer.json()

        await until(lambda: adapter.wire.connected)
        shown = {"store": True, "model": True, "discord": True, "discord/0": True, "discord/1": True}
        assert await ready() == (200, shown)
        fake.gateway.down = True
        fake.gateway.forget_shard(1)
        await until(lambda: not adapter.wire.connected)
        assert await ready() == (503, shown | {"discord": False, "discord/1": False})
        async with session.get(f"{bot.url}/metrics") as answer:
            metrics = await answer.text()
        assert 'trialogue_platform_connected{platform="discord/0"} 1.0' in metrics
        assert 'trialogue_platform_connected{platform="discord/1"} 0.0' in metrics


async def test_doctor_tells_of_too_few(fake: FakeDiscord) -> None:
    fake.rest.shards = 4
    assert [each.what for each in await check(settings_for(fake)) if "shard" in each.what] == ["4 shards"]
    [finding] = [each for each in await check(settings_for(fake, shards=1)) if "shard" in each.what]
    assert not finding.ok
    assert finding.what == "1 shard, and Discord wants 4"
