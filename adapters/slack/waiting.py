"""How long to wait before the next try: longer each time, never the same for two processes, never without end."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from core.errors import StoreUnavailable

log = logging.getLogger(__name__)

_T = TypeVar("_T")


@dataclass(slots=True)
class Waits:
    """`first` seconds, then twice as long each time up to `longest`, and of that a random half or more."""

    first: float = 1.0
    longest: float = 30.0
    _next: float = field(default=0.0, init=False)

    def reset(self) -> None:
        self._next = 0.0

    async def next(self, at_least: float = 0.0) -> None:
        wait = self._next or self.first
        self._next = min(self.longest, wait * 2)
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - it spreads load and guards nothing
        await asyncio.sleep(max(at_least, min(wait, self.longest) * spread))


async def patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """What `call` returns, however often the store is away; the caller bounds it."""
    waits = Waits(first=0.1, longest=0.5)
    while True:
        try:
            return await call()
        except StoreUnavailable as exc:
            log.warning("the store is away: %s", exc)
            await waits.next()
