from collections.abc import AsyncIterator

import pytest

from adapters.telegram.adapter import TelegramAdapter, TelegramSettings
from adapters.telegram.client import Client, Connection
from adapters.telegram.waiting import Waits
from tests.adapters.telegram.notebook import Alone, Notebook
from tests.fakes.telegram import FakeTelegram


@pytest.fixture
async def fake() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeTelegram) -> AsyncIterator[Client]:
    connection = Connection()
    await connection.initialize()
    yield Client(fake.token, fake.api_base, connection)
    await connection.shutdown()


@pytest.fixture
def inbox() -> Notebook:
    return Notebook()


@pytest.fixture
async def adapter(fake: FakeTelegram) -> AsyncIterator[TelegramAdapter]:
    settings = TelegramSettings(token=fake.token, api_base=fake.api_base)
    async with TelegramAdapter(settings, Alone(), waits=soon()) as adapter:
        yield adapter


def soon() -> Waits:
    """Waits that tests do not notice."""
    return Waits(first=0.01, longest=0.05)
