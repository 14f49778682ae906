"""Stores for tests of a turn's life."""

from collections.abc import AsyncIterator

import pytest

from core.store.client import StoreSettings
from core.store.store import Store, open_store


@pytest.fixture
async def short(store_settings: StoreSettings) -> AsyncIterator[Store]:
    """A store whose leases end soon after their holder."""
    async with open_store(store_settings, lease=0.5, beat_every=0.1) as opened:
        yield opened
