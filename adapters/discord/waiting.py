"""Growing waits between tries, with jitter."""

import asyncio
import random
from dataclasses import dataclass


@dataclass(slots=True)
class Waits:
    """`first` seconds, then twice as long each time, at most `longest`; each between half and the whole of it."""

    first: float = 1.0
    longest: float = 60.0
    _tries: int = 0

    async def next(self, at_least: float = 0.0) -> None:
        wait = min(self.longest, self.first * 2 ** min(self._tries, 16))
        self._tries += 1
        await asyncio.sleep(max(at_least, wait * random.uniform(0.5, 1.0)))  # noqa: S311 - spreads load only

    def reset(self) -> None:
        self._tries = 0
