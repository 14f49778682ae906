"""The border to Redis: what happens when it is away, forgetful, unsafe or not ours."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from redis import exceptions

from core.errors import Overloaded, StoreUnavailable
from core.store.background import background
from core.store.client import Client, StoreSettings
from core.store.connect import Address
from core.store.failures import REDIS_ERRORS
from core.store.pipe import Pipe
from core.store.store import Store, open_store
from tests.core.store.events import CONVERSATION, an_event
from tests.core.store.servers import RedisServer
from tests.core.store.steps import accept, answer, eventually, take


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that may be killed."""
    with RedisServer() as server:
        yield server


def impatient(server: RedisServer, data_dir: Path) -> StoreSettings:
    return StoreSettings(url=server.url, data_dir=data_dir, patience=0.2)


async def test_a_store_that_is_away_at_the_start_is_named(data_dir: Path) -> None:
    settings = StoreSettings(url="redis://someone:secret@127.0.0.1:1/0", data_dir=data_dir, patience=0.1)
    with pytest.raises(StoreUnavailable, match=r"redis://127\.0\.0\.1:1/0") as caught:
        async with open_store(settings):
            pass
    assert "secret" not in str(caught.value)


async def test_every_step_says_so_when_the_store_goes_away(own_server: RedisServer, data_dir: Path) -> None:
    async with open_store(impatient(own_server, data_dir)) as store:
        await accept(store, an_event())
        claim = await take(store)
        own_server.kill()
        for step in (
            store.ping(),
            store.inbox.accept(an_event()),
            store.inbox.turns(CONVERSATION, 1),
            store.inbox.get("key"),
            store.claims.take(["web"], 1, wait=1),
            store.claims.beat([claim]),
            store.claims.showing(claim, 0, "a", 1, final=False),
            store.claims.delivered(claim),
            store.control.take(["web"], 1, wait=1),
            store.memory.turns(CONVERSATION, 1),
            store.fleet.beat(),
        ):
            with pytest.raises(StoreUnavailable):
                await step
        assert not claim.lost


async def test_work_goes_on_when_the_store_comes_back(own_server: RedisServer, data_dir: Path) -> None:
    async with open_store(impatient(own_server, data_dir)) as store:
        await accept(store, an_event("one"), an_event("two"))
        claim = await take(store)
        async with store.inbox.watch(CONVERSATION) as changes:
            own_server.kill()
            with pytest.raises(StoreUnavailable):
                await store.ping()
            own_server.ensure()
            await store.claims.showing(claim, 0, "yes", 3, final=False)
            assert (await anext(changes)).text == "yes"
        await store.claims.complete(claim, turns=(), text="yes", window=None)
        await store.claims.delivered(claim)
        assert (await answer(store)).event.text == "two"


async def test_scripts_that_the_server_forgot_are_sent_again(store: Store) -> None:
    await accept(store, an_event("one"))
    await store.client.read(lambda redis: redis.script_flush())
    await asyncio.gather(*(store.inbox.accept(an_event(f"{i}")) for i in range(5)))
    texts = [turn.text for turn in await store.inbox.turns(CONVERSATION, 0)]
    assert texts == ["one", "0", "1", "2", "3", "4"]


async def test_groups_that_the_server_forgot_are_made_again(store: Store) -> None:
    await accept(store, an_event())
    await answer(store)
    await store.client.read(lambda redis: redis.flushall())
    await accept(store, an_event("after"))
    assert (await answer(store)).event.text == "after"


async def test_the_number_of_shards_is_fixed(store: Store, store_settings: StoreSettings) -> None:
    with pytest.raises(StoreUnavailable, match=r"set redis\.shards = 16"):
        async with open_store(replace(store_settings, shards=8)):
            pass


async def test_a_server_that_syncs_each_second_is_waited_for(data_dir: Path) -> None:
    with RedisServer(fsync="everysec") as server:
        async with open_store(impatient(server, data_dir)) as store:
            await asyncio.gather(*(store.inbox.accept(an_event(f"{i}")) for i in range(20)))
            assert await commands_called(store, "waitaof") > 0
            server.kill()
            server.ensure()
            waiting = await eventually(lambda: store.inbox.turns(CONVERSATION, 0))
            assert len(waiting) == 20


async def test_an_event_seen_before_is_waited_for_too(data_dir: Path) -> None:
    with RedisServer(fsync="everysec") as server:
        async with open_store(impatient(server, data_dir)) as store:
            event = an_event()
            await accept(store, event)
            before = await offset(store)
            assert not await store.inbox.accept(event)
            assert await offset(store) > before


async def test_a_server_that_always_syncs_is_not_waited_for(own_server: RedisServer, data_dir: Path) -> None:
    async with open_store(impatient(own_server, data_dir)) as store:
        await accept(store, an_event())
        assert await commands_called(store, "waitaof") == 0


async def test_a_server_that_becomes_unsafe_is_noticed_after_a_reconnect(
    own_server: RedisServer, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(impatient(own_server, data_dir)) as store:
        await store.client.read(lambda redis: redis.config_set("appendonly", "no"))
        await store.client.read(lambda redis: redis.client_kill_filter(_type="normal", skipme=False))
        with caplog.at_level(logging.WARNING):
            await store.ping()
    assert "NOT DURABLE" in caplog.text


async def test_a_server_that_takes_no_writes_says_why(own_server: RedisServer, data_dir: Path) -> None:
    async with open_store(impatient(own_server, data_dir)) as store:
        await store.client.read(lambda redis: redis.config_set("maxmemory", 1))
        with pytest.raises(StoreUnavailable, match="OutOfMemory"):
            await store.inbox.accept(an_event("a secret of mine"))
        with pytest.raises(StoreUnavailable) as caught:
            await store.inbox.accept(an_event("a secret of mine"))
    assert "secret" not in str(caught.value)


async def test_a_wrong_password_is_not_tried_again(data_dir: Path) -> None:
    with RedisServer(options=("--requirepass", "right")) as server:
        settings = StoreSettings(url=f"unix://:wrong@{server.folder}/redis.sock", data_dir=data_dir, patience=60)
        with pytest.raises(StoreUnavailable, match="Authentication") as caught:
            async with open_store(settings):
                pass
        assert "wrong" not in str(caught.value)


async def test_two_databases_of_one_server_are_two_stores(redis_server: RedisServer, store: Store) -> None:
    settings = StoreSettings(url=f"{redis_server.url}?db=3", data_dir=Path())
    async with open_store(settings) as other, store.claims.stops() as stops, other.claims.stops() as theirs:
        await accept(store, an_event())
        assert await other.claims.take(["web"], 1, wait=0.01) == []
        await accept(other, an_event(), an_event(kind="stop"))
        assert await anext(aiter(theirs)) == CONVERSATION
        await accept(store, an_event(kind="stop"))
        assert await anext(aiter(stops)) == CONVERSATION


async def test_what_a_block_raises_comes_out_as_it_is(store_settings: StoreSettings) -> None:
    with pytest.raises(KeyError):
        async with open_store(store_settings):
            raise KeyError


async def test_a_cancelled_call_leaves_the_others_alone(store: Store) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.inbox.accept(an_event())) for _ in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
    assert [task.result() for task in tasks if not task.cancelled()] == [True] * 9


async def test_no_secret_is_in_the_settings_text(data_dir: Path) -> None:
    settings = StoreSettings(url="rediss://user:hunter2@db.example:6380/2", data_dir=data_dir)
    assert "hunter2" not in repr(settings)
    async with background() as tasks:
        assert Client(settings, tasks).describe() == "rediss://db.example:6380/2"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis+sentinel://u:pw@a:1,b:2/main?db=3&sentinel_password=pw", "redis+sentinel://a:1,b:2/main"),
        ("redis+cluster://:pw@a:1,[::1]:2", "redis+cluster://a:1,::1:2"),
        ("unix:///run/redis.sock?password=pw", "unix:///run/redis.sock"),
    ],
)
def test_an_address_shows_no_password(url: str, text: str) -> None:
    assert str(Address.parse(url)) == repr(Address.parse(url)) == text


@pytest.mark.parametrize("url", ["redis://host:port", "redis+sentinel://a:1", "redis+cluster://", "ftp://x:pw"])
async def test_a_url_that_nobody_understands_is_refused_and_not_shown(url: str, data_dir: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"redis\.url") as caught:
        async with open_store(StoreSettings(url=url, data_dir=data_dir)):
            pass
    assert "pw" not in str(caught.value)


def test_whatever_redis_raises_is_translated() -> None:
    raised = [
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type)
        and issubclass(kind, Exception)
        and kind.__module__ == exceptions.__name__
        and "Cluster" not in kind.__name__
    ]
    not_ours = {"ChildDeadlockedError", "SlotNotCoveredError", "CrossSlotTransactionError"}
    not_ours |= {"InvalidPipelineStack", "IncorrectPolicyType"}
    assert raised
    assert {kind.__name__ for kind in raised if not issubclass(kind, REDIS_ERRORS)} <= not_ours


async def test_a_pipe_that_is_full_refuses() -> None:
    async def send(calls: Sequence[int]) -> list[int]:
        return list(calls)

    pipe = Pipe(send, most_waiting=2)
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(pipe.call(i)) for i in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await pipe.call(3)
        running = group.create_task(pipe.run())
        assert [await answer for answer in answers] == [0, 1]
        running.cancel()


async def test_calls_that_wait_when_a_pipe_is_closed_are_told() -> None:
    never = asyncio.Event()

    async def send(calls: Sequence[int]) -> list[int]:
        await never.wait()
        return list(calls)

    pipe = Pipe(send)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(pipe.run())
        answers = asyncio.gather(pipe.call(1), pipe.call(2), return_exceptions=True)
        await asyncio.sleep(0)
        running.cancel()
        assert [type(answer) for answer in await answers] == [StoreUnavailable] * 2
    with pytest.raises(StoreUnavailable):
        await pipe.call(3)


async def commands_called(store: Store, name: str) -> int:
    info = await store.client.read(lambda redis: redis.info("commandstats"))
    calls: int = info.get(f"cmdstat_{name}", {"calls": 0})["calls"]
    return calls


async def offset(store: Store) -> int:
    """How much the server has written to its file, or to replicas, in all."""
    written: int = (await store.client.read(lambda redis: redis.info("replication")))["master_repl_offset"]
    return written
