"""What every test may ask for: a folder for data, and a store on a real server.

Tests run in several processes at once, and each has its own of both.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from core.store.client import StoreSettings
from core.store.store import Store, open_store
from tests.core.store.servers import RedisServer


def pytest_xdist_auto_num_workers() -> int:
    """One for each core: with more of them tests of several processes run out of time. Each takes 600 MB."""
    return min(8, os.cpu_count() or 1)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty folder for everything that the bot writes."""
    return tmp_path / "data"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for all tests of a process. Where there is none, the tests fail."""
    with RedisServer() as server:
        yield server


@pytest.fixture
async def store_settings(redis_server: RedisServer, data_dir: Path) -> StoreSettings:
    """Settings for a store with nothing in it."""
    redis_server.ensure()
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    return StoreSettings(url=redis_server.url, data_dir=data_dir)


@pytest.fixture
async def store(store_settings: StoreSettings) -> AsyncIterator[Store]:
    """A store with nothing in it."""
    async with open_store(store_settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bundled model is converted to, once for all tests: whichever process comes second waits for it."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "models"
