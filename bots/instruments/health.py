"""Whether this process is ready: what it needs, asked each time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from core.errors import CoreError

Check = Callable[[], Awaitable[bool]]

_SECONDS = 2.0


class Health:
    """What `checks` gives by name, each time. One that raises a `CoreError`, or takes too long, has failed."""

    def __init__(self, checks: Callable[[], Mapping[str, Check]]) -> None:
        self._checks = checks

    async def look(self) -> Mapping[str, bool]:
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(_passes(check)) for name, check in self._checks().items()}
        return {name: task.result() for name, task in tasks.items()}


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(_SECONDS):
            return await check()
    except (CoreError, TimeoutError):
        return False
