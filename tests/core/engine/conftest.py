from collections.abc import AsyncIterator

import pytest

from core.engine.loading import Loaded
from tests.core.engine.openai_server import OpenAIServer


@pytest.fixture(scope="session")
def tiny() -> Loaded:
    """A random model whose tokens are ASCII text, each by itself."""
    from tests.core.engine.tiny import byte_level, loaded  # imports torch: not before the engine's package

    return loaded(byte_level(every_byte=False))


@pytest.fixture(scope="session")
def tiny_recurrent() -> Loaded:
    """As `tiny`, with a state in the place of keys and values."""
    from tests.core.engine.tiny import byte_level, loaded

    return loaded(byte_level(every_byte=False), architecture="recurrent")


@pytest.fixture
async def openai_server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer.serve() as server:
        yield server
