"""Growing waits between tries, with jitter."""

import asyncio
import random
from dataclasses import dataclass


@dataclass(slots=True)
class Waits:
    """`first` seconds, then twice as long each time, at most `longest`; each between half and the whole of it."""

    first: float = 1.0
    longest: float = 30.0
    _tries: int = 0

    async def next(self) -> None:
        wait = min(self.longest, self.first * 2 ** min(self._tries, 16))
        self._tries += 1
        await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, keeps no secret

    def reset(self) -> None:
        self._tries = 0
