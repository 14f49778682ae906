"""A copy of the store, taken while it is written to, has all that was there before; on real servers."""

import asyncio
import shutil
from pathlib import Path

import pytest

from core.errors import StoreUnavailable
from core.store import logfile
from core.store.background import background
from core.store.backup import back_up
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from core.turns import Conversation
from tests.core.store.events import ROOM, an_event
from tests.core.store.servers import RedisServer, until
from tests.core.store.steps import accept, answer

PLACES = [Conversation.of(ROOM, f"place {number}") for number in range(10)]
LIVELY = Conversation.of(ROOM, "lively")


async def talk(store: Store) -> None:
    for place in PLACES:
        await accept(store, an_event("before", conversation=place))
        await answer(store)


async def go_on(store: Store, begun: asyncio.Event) -> None:
    """Somebody writes all the time."""
    while True:
        await accept(store, an_event("meanwhile", conversation=LIVELY))
        await answer(store)
        begun.set()


async def is_whole(store: Store) -> bool:
    turns = [[turn.text for turn in await store.memory.turns(place, 9)] for place in PLACES]
    lively = [turn.number for turn in await store.memory.turns(LIVELY, 10_000)]
    return turns == [["before", "yes"]] * len(PLACES) and lively == list(range(1, len(lively) + 1))


async def test_copy_of_the_embedded_server_taken_under_load_is_restored(data_dir: Path, tmp_path: Path) -> None:
    begun = asyncio.Event()
    async with open_store(StoreSettings(data_dir=data_dir)) as store:
        await talk(store)
        await store.client.read(lambda redis: redis.config_set("auto-aof-rewrite-min-size", 1))
        async with background() as tasks:
            tasks.start(lambda: go_on(store, begun))
            await begun.wait()
            await logfile.rewrite(store.client)
            await back_up(store.client, tmp_path / "copy")
        kept = await store.client.read(lambda redis: redis.config_get("auto-aof-rewrite-percentage"))
        assert kept == {"auto-aof-rewrite-percentage": "100"}
    restored = tmp_path / "restored"
    shutil.copytree(tmp_path / "copy", restored / "redis")
    async with open_store(StoreSettings(data_dir=restored)) as store:
        assert await is_whole(store)
        assert len(await store.memory.turns(LIVELY, 9)) > 0
        await accept(store, an_event("after", conversation=PLACES[0]))
        while (claim := await answer(store)).event.text != "after":
            pass  # what waited when the copy was made
        assert claim.last == 4


async def test_copy_that_ends_within_a_record_is_restored_without_it(data_dir: Path, tmp_path: Path) -> None:
    async with open_store(StoreSettings(data_dir=data_dir)) as store:
        await talk(store)
        await accept(store, an_event("half", conversation=LIVELY))
        await back_up(store.client, tmp_path / "restored" / "redis")
    [file] = (tmp_path / "restored" / "redis" / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(file.read_bytes()[:-7])
    async with open_store(StoreSettings(data_dir=tmp_path / "restored")) as store:
        assert await is_whole(store)
        assert await store.claims.take(["web"], 1, wait=0.05) == []


async def test_server_that_is_not_ours_is_not_copied(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="use its own means"):
        await back_up(store.client, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


async def test_snapshot_of_another_server_is_restored_as_readme_says(data_dir: Path) -> None:
    with RedisServer() as server, RedisServer(appendonly="no") as heir:
        async with open_store(StoreSettings(url=server.url, data_dir=data_dir)) as store:
            await talk(store)
            server.ask("BGSAVE")
            until(lambda: not server.ask("INFO", "persistence")["rdb_bgsave_in_progress"])
        heir.kill()
        shutil.copyfile(server.folder / "dump.rdb", heir.folder / "dump.rdb")
        heir.ensure()
        heir.ask("CONFIG SET", "appendonly", "yes")
        until(lambda: not heir.ask("INFO", "persistence")["aof_rewrite_in_progress"])
        heir.kill()
        heir._command[heir._command.index("--appendonly") + 1] = "yes"
        heir.ensure()
        async with open_store(StoreSettings(url=heir.url, data_dir=data_dir)) as store:
            assert await is_whole(store)
