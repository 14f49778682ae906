"""A bot with the operator's page, and an operator without a browser."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from bots.bot import Bot
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from tests.adapters.web.conftest import chromium
from tests.bots.instruments.room import RoomAdapter
from tests.running import running

__all__ = ["chromium"]

SERVED = ("127.0.0.1", 0)
OFTEN = 0.2  # seconds between two looks
SLOW = 0.1  # seconds a word: long enough to be seen


@pytest.fixture
def room() -> RoomAdapter:
    return RoomAdapter()


@pytest.fixture
async def bot(store: Store, room: RoomAdapter) -> AsyncIterator[Bot]:
    engine = ScriptedEngine(delay=SLOW)
    async with running(room, store=store, engine=engine, address=SERVED, show_every=OFTEN) as served:
        yield served


class Operator:
    """Asks `bot`, or what is served at that address, with `key` if there is one."""

    def __init__(self, bot: Bot | str, key: str = "") -> None:
        self._url = bot if isinstance(bot, str) else bot.url
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    async def get(self, path: str, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.get(f"{self._url}{path}", headers={**self._headers, **headers})

    async def order(self, order: object, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            headers = {**self._headers, **headers}
            return await client.post(f"{self._url}/admin/orders", json=order, headers=headers)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
        """What the page is told, event by event."""
        async with (
            httpx.AsyncClient(trust_env=False, timeout=30) as client,
            client.stream("GET", f"{self._url}/admin/stream", headers=self._headers) as answer,
        ):
            assert answer.is_success
            yield _events(answer)

    async def until(self, predicate: Callable[[Any], bool]) -> Any:
        """The first state for which that holds."""
        async with asyncio.timeout(20), self.watching() as events:
            async for event, data in events:
                if event == "now" and predicate(data):
                    return data
        raise AssertionError("the stream has ended")


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    event = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield event, json.loads(line.removeprefix("data: "))
