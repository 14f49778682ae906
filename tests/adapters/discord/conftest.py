from collections.abc import AsyncIterator

import pytest

from adapters.discord.adapter import DiscordAdapter
from adapters.discord.rest import Rest
from tests.adapters.discord.notebook import Alone, Notebook
from tests.contracts.discord_rig import QUICK, settings_for
from tests.fakes.discord import FakeDiscord


@pytest.fixture
async def fake() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as fake:
        yield fake


@pytest.fixture
def inbox(fake: FakeDiscord) -> Notebook:
    return Notebook(fake.world.wake)


@pytest.fixture
async def adapter(fake: FakeDiscord) -> AsyncIterator[DiscordAdapter]:
    async with DiscordAdapter(settings_for(fake), Alone(), patience=QUICK) as adapter:
        yield adapter


@pytest.fixture
async def rest(fake: FakeDiscord) -> AsyncIterator[Rest]:
    rest = Rest(settings_for(fake))
    await rest.open()
    yield rest
    await rest.close()
