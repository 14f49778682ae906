"""An inbox that writes down what it is given, and can be away or full; and a fleet of one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from core.errors import Overloaded, StoreUnavailable
from core.turns import Conversation, Event, Shown, Turn


class Notebook:
    """`core.turns.Inbox`, in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.values: dict[str, bytes] = {}
        self.away = False
        self.full = False
        self.refusals = 0
        self._changed = asyncio.Condition()

    async def accept(self, event: Event) -> bool:
        if self.away or self.full:
            self.refusals += 1
            await self._notify()
            raise StoreUnavailable("away") if self.away else Overloaded("full")
        if any(event.id == seen.id for seen in self.events):
            return False
        self.events.append(event)
        await self._notify()
        return True

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events]

    async def until(self, predicate: Callable[[], bool]) -> None:
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(predicate)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def set(self, key: str, value: bytes, *, expires: timedelta) -> None:
        self.values[key] = value

    async def turns(self, conversation: Conversation, last: int) -> list[Turn]:
        return []

    def watch(self, conversation: Conversation) -> AbstractAsyncContextManager[AsyncIterator[Shown]]:
        raise NotImplementedError("no adapter of a platform watches")


class Alone:
    """`core.turns.Fleet` of one worker, which nobody has told to be silent."""

    workers = 1

    async def pause(self, bot: str, seconds: float) -> None:
        pass

    def paused_until(self, bot: str) -> float:
        return 0.0
