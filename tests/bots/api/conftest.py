"""The whole bot with its API, for OpenAI's own client."""

from collections.abc import AsyncIterator

import openai
import pytest

from bots.bot import Bot
from core.engine.local import LocalEngine
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from tests.core.engine.openai_server import OpenAIServer
from tests.core.engine.tiny import byte_level, loaded
from tests.running import running

SERVED = ("127.0.0.1", 0)


def client_of(bot: Bot, key: str = "any") -> openai.AsyncOpenAI:
    """Asks once, whatever is answered. Proxies of this machine are none of its business."""
    return openai.AsyncOpenAI(
        base_url=f"{bot.url}/v1",
        api_key=key,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
    )


@pytest.fixture
async def bot(store: Store) -> AsyncIterator[Bot]:
    """It says what it is told."""
    async with running(store=store, engine=ScriptedEngine(), address=SERVED) as served:
        yield served


@pytest.fixture
async def client(bot: Bot) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(bot) as opened:
        yield opened


@pytest.fixture
async def engine() -> LocalEngine:
    """A small random model in this process."""
    return LocalEngine(loaded(byte_level(), context=4096))


@pytest.fixture
async def model(store: Store, engine: LocalEngine) -> AsyncIterator[openai.AsyncOpenAI]:
    """Speaks to `engine`."""
    async with (
        running(store=store, engine=engine, address=SERVED) as served,
        client_of(served) as opened,
    ):
        yield opened


@pytest.fixture
async def openai_server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer.serve() as server:
        yield server
