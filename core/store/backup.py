"""A copy of the embedded server's append-only file, taken while everybody works.

It is a base, increments, and a list of both. Only a rewrite replaces any of them: while there is none, a copy of
all is what the server had written at some moment of the copying, and it loads that, without what was half written
at the end. So rewrites are put off (that is how Redis and Valkey want it); one that was begun by hand meanwhile
shows in the list, and then it is copied once more.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.errors import StoreUnavailable
from core.store.client import Client
from core.store.logfile import idle

_FOLDER, _LIST = "appendonlydir", "appendonly.aof.manifest"
_OLD_FILE = "appendonly.aof"  # of servers before 7.0
_SECONDS = 3600.0
_TRIES = 5


async def back_up(client: Client, target: Path) -> None:
    """Copy what the embedded server has on disk into the folder `target`, which must not be there yet.

    Raises `StoreUnavailable`, and `OSError` when it cannot be written.
    """
    source = client.folder
    if source is None:
        raise StoreUnavailable(f"{client.describe()} is not ours to copy: use its own means")
    await asyncio.to_thread(lambda: target.mkdir(parents=True))
    try:
        async with asyncio.timeout(_SECONDS), _no_rewrites(client):
            for _ in range(_TRIES):
                await idle(client)
                before = await asyncio.to_thread(_listed, source)
                await asyncio.to_thread(_copy, source, target)
                if await asyncio.to_thread(_listed, source) == before:
                    return
    except TimeoutError:
        pass
    raise StoreUnavailable(f"the file of {client.describe()} is rewritten all the time")


@asynccontextmanager
async def _no_rewrites(client: Client) -> AsyncIterator[None]:
    """The server begins none by itself. If we are killed, that lasts until it is restarted or the next copy."""
    name = "auto-aof-rewrite-percentage"
    before = (await client.read(lambda redis: redis.config_get(name)))[name]
    usual = before if int(before) else "100"
    await client.read(lambda redis: redis.config_set(name, 0))
    try:
        yield
    finally:
        await client.read(lambda redis: redis.config_set(name, usual))


def _listed(source: Path) -> bytes:
    manifest = source / _FOLDER / _LIST
    return manifest.read_bytes() if manifest.exists() else b""


def _copy(source: Path, target: Path) -> None:
    if not (source / _FOLDER).is_dir():
        shutil.copyfile(source / _OLD_FILE, target / _OLD_FILE)
        return
    shutil.rmtree(target / _FOLDER, ignore_errors=True)
    shutil.copytree(source / _FOLDER, target / _FOLDER)
