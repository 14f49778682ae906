"""Stores for tests of a turn's life, and where models are."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.store.client import StoreSettings
from core.store.store import Store, open_store


@pytest.fixture
async def short(store_settings: StoreSettings) -> AsyncIterator[Store]:
    """A store whose leases end soon after their holder."""
    async with open_store(store_settings, lease=0.5, beat_every=0.1) as opened:
        yield opened


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bundled model is converted to, once for all tests: whichever process comes second waits for it."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "models"
