"""Stores for tests of the store itself."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.store.client import StoreSettings
from core.store.store import Store, open_store
from tests.core.store.lossy import Lossy, lossy
from tests.core.store.servers import RedisServer

SHORT = 0.05


@pytest.fixture
async def hasty(store_settings: StoreSettings) -> AsyncIterator[Store]:
    """A store whose leases end almost at once."""
    async with open_store(store_settings, lease=SHORT) as opened:
        yield opened


@pytest.fixture
async def heir(store_settings: StoreSettings) -> AsyncIterator[Store]:
    """Another process's view of the same store, which takes over what `hasty` leaves."""
    async with open_store(store_settings, lease=SHORT) as opened:
        yield opened


@pytest.fixture
async def lossy_way(
    store_settings: StoreSettings, redis_server: RedisServer
) -> AsyncIterator[tuple[Lossy, Store]]:
    """A store whose answers can get lost on the way."""
    async with (
        lossy(redis_server.folder, redis_server.url) as (way, url),
        open_store(replace(store_settings, url=url)) as opened,
    ):
        yield way, opened
