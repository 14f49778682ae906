"""A server on its bad days, in the middle of a turn: full, read-only, loading, hanging, and gone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from core.errors import StoreUnavailable
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from core.turns import Part
from tests.core.store.events import CONVERSATION, an_event
from tests.core.store.lossy import Lossy, lossy
from tests.core.store.servers import RedisServer, free_port, until
from tests.core.store.steps import accept, answer, complete, take

SLOW_TO_LOAD = ("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")


def settings(server: RedisServer, data_dir: Path, patience: float = 5.0) -> StoreSettings:
    return StoreSettings(url=server.url, data_dir=data_dir, patience=patience)


async def test_step_that_a_full_server_refused_has_done_nothing_and_works_later(data_dir: Path) -> None:
    with RedisServer() as server:
        async with open_store(settings(server, data_dir), outage=0.0) as store:

            async def first_in_vain(step: Callable[[], Awaitable[object]]) -> None:
                server.ask("CONFIG SET", "maxmemory", 1)
                try:
                    await step()
                except StoreUnavailable as exc:
                    assert "OutOfMemory" in str(exc)
                    server.ask("CONFIG SET", "maxmemory", 0)
                    await step()
                server.ask("CONFIG SET", "maxmemory", 0)

            await first_in_vain(lambda: store.inbox.accept(an_event("one")))
            await first_in_vain(lambda: store.inbox.accept(an_event("two")))
            claim = await take(store)
            await first_in_vain(lambda: store.claims.beat([claim]))
            await first_in_vain(lambda: store.claims.showing(claim, 0, "ye", 2, final=False))
            await first_in_vain(lambda: store.claims.shown(claim, 0, "m1"))
            assert claim.parts == [Part("ye", 2, "m1")]
            await first_in_vain(lambda: complete(store, claim))
            await first_in_vain(lambda: store.claims.delivered(claim))
            following = await answer(store, "no")
            assert (following.event.text, following.parts, following.tries) == ("two", [], 1)
            turns = await store.memory.turns(CONVERSATION, 9)
            assert [turn.text for turn in turns] == ["one", "yes", "two", "no"]


async def test_turn_goes_on_at_the_new_master_when_the_old_one_has_become_its_replica(data_dir: Path) -> None:
    """One name for both, as a load balancer or a managed service has it: no connection is cut."""
    with RedisServer(port=free_port()) as old, RedisServer(port=free_port()) as new:
        new.ask("REPLICAOF", "127.0.0.1", old.port)
        until(lambda: bool(new.ask("INFO", "replication")["master_link_status"] == "up"))
        async with (
            lossy(old.folder, old.url) as (way, url),
            open_store(replace(settings(old, data_dir), url=url), lease=30.0) as store,
        ):
            await accept(store, an_event("one"))
            claim = await take(store)
            await store.claims.showing(claim, 0, "once", 4, final=False)
            way.url = new.url
            new.ask("REPLICAOF", "NO", "ONE")
            old.ask("REPLICAOF", "127.0.0.1", new.port)
            await store.claims.shown(claim, 0, "m1")
            await complete(store, claim)
            await store.claims.delivered(claim)
            await accept(store, an_event("two"))
            assert (await answer(store)).event.text == "two"


def restart_slowly(server: RedisServer) -> None:
    """It answers while it loads a file that was rewritten, and refuses."""
    server.ask("BGREWRITEAOF")
    until(lambda: not server.ask("INFO", "persistence")["aof_rewrite_in_progress"])
    server.kill()
    server.ensure()
    assert server.is_loading


async def test_turn_goes_on_when_the_server_has_loaded_its_data(data_dir: Path) -> None:
    with RedisServer(options=SLOW_TO_LOAD) as server:
        async with open_store(settings(server, data_dir), lease=30.0) as store:
            await accept(store, *(an_event(str(number)) for number in range(10)))
            claim = await take(store)
            await asyncio.to_thread(restart_slowly, server)
            await complete(store, claim)
            await store.claims.delivered(claim)
            assert (await answer(store)).event.text == "1"


async def test_server_that_is_loading_is_waited_for_at_the_start(data_dir: Path) -> None:
    with RedisServer(options=SLOW_TO_LOAD) as server:
        async with open_store(settings(server, data_dir)) as store:
            await accept(store, *(an_event(str(number)) for number in range(10)))
        await asyncio.to_thread(restart_slowly, server)
        async with open_store(settings(server, data_dir, patience=0.1)) as store:
            assert (await answer(store)).event.text == "0"


async def test_server_that_hangs_is_given_up_in_a_bounded_time(data_dir: Path) -> None:
    with RedisServer() as server:
        async with open_store(settings(server, data_dir, patience=0.1), lease=30.0) as store:
            await accept(store, an_event("one"))
            claim = await take(store)
            with server.paused():
                steps = [
                    store.claims.showing(claim, 0, "a", 1, final=False),
                    store.claims.beat([claim]),
                    store.inbox.accept(an_event("two")),
                    store.inbox.get("key"),
                ]
                outcomes = await asyncio.gather(*steps, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * len(steps)
            await complete(store, claim)
            await store.claims.delivered(claim)
            assert len(await store.memory.turns(CONVERSATION, 9)) == 2


async def test_reading_whose_answer_was_lost_is_somebody_elses_soon(
    lossy_way: tuple[Lossy, Store], hasty: Store
) -> None:
    way, store = lossy_way
    await accept(hasty, an_event("one"))
    way.lose_answer_to("XREADGROUP")
    assert await store.claims.take(["web"], 1, wait=0.05) == []
    assert (await take(hasty)).event.text == "one"


async def test_what_was_accepted_twice_because_of_a_lost_answer_and_a_crash_is_answered_once(
    lossy_way: tuple[Lossy, Store], store: Store
) -> None:
    """The process dies between the step and its answer, and the platform delivers again to another one."""
    way, dying = lossy_way
    event = an_event("one")
    async with asyncio.TaskGroup() as group, way.holding("accept") as is_taken:
        accepting = group.create_task(dying.inbox.accept(event))
        await is_taken.wait()
        accepting.cancel()
    assert not await store.inbox.accept(event)
    assert (await answer(store)).event == event
    assert await store.claims.take(["web"], 1, wait=0.01) == []
