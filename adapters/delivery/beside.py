"""A job that runs for as long as a block, such as the sign that an answer is being thought of."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(job: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `job` while the block runs, and cancel it then. What the block raises comes out as it is."""
    failed: Exception | None = None
    async with asyncio.TaskGroup() as group:
        task = group.create_task(job)
        try:
            yield
        except Exception as exc:  # noqa: BLE001 - raised below, where the group does not wrap it
            failed = exc
        finally:
            task.cancel()
    if failed is not None:
        raise failed
