"""An inbox that writes down what it is given, and can be away, silent or full; and a fleet of one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Literal

from core.errors import Overloaded, StoreUnavailable
from core.turns import Conversation, Event, Shown, Turn


class Notebook:
    """`core.turns.Inbox`, in memory. `changed` is called after each attempt to have an event accepted."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.events: list[Event] = []
        self.attempts = 0
        self.values: dict[str, bytes] = {}
        self.mood: Literal["well", "away", "silent", "full"] = "well"

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events]

    async def accept(self, event: Event) -> bool:
        self.attempts += 1
        self._changed()
        match self.mood:
            case "away":
                raise StoreUnavailable("away")
            case "full":
                raise Overloaded("full")
            case "silent":
                await asyncio.get_running_loop().create_future()
        if any(event.id == seen.id for seen in self.events):
            return False
        self.events.append(event)
        return True

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def set(self, key: str, value: bytes, *, expires: timedelta) -> None:
        self.values[key] = value
        self._changed()

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
