"""Tasks that live as long as a block. Knows nothing of what they do.

Redis is only spoken to in such tasks, never in the task of a caller: redis-py uses `asyncio.wait_for`, which can
lose a cancellation (before Python 3.12, when what it waits for ends at the same moment). A caller here waits with
`asyncio.wait`, which cannot; and the tasks themselves are cancelled until they end.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from core.errors import StoreUnavailable

T = TypeVar("T")

_CANCEL_AGAIN_SECONDS = 0.1


class Background:
    """The tasks of one block. Made by `background`."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[object]] = set()
        self._closed = False

    def start(self, job: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """Run `job`; if it fails, so does the block. Raises `StoreUnavailable` when the block is being left."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        task = self._group.create_task(_awaited(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def call(self, job: Callable[[], Awaitable[T]]) -> T:
        """What `job` returns or raises. Cancelling the caller cancels the job, and never goes unnoticed."""
        task = self.start(lambda: _outcome(job))
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
        if task.cancelled():
            raise StoreUnavailable("the store is being closed")
        outcome = task.result()
        if isinstance(outcome, _Failure):
            raise outcome.error
        return outcome

    async def stop(self) -> None:
        """Cancel all tasks, until they have ended."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=_CANCEL_AGAIN_SECONDS)

    async def close(self) -> None:
        """Stop, and start no more."""
        self._closed = True
        await self.stop()


class _Failure:
    def __init__(self, error: Exception) -> None:
        self.error = error


@asynccontextmanager
async def background() -> AsyncIterator[Background]:
    """Tasks that are cancelled when the block is left.

    One that fails cancels the block and is raised in an exception group, as with any `TaskGroup`. What the block
    itself raises comes out as it is, and not in a group: callers of a resource catch it by its class.
    """
    raised: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        tasks = Background(group)
        try:
            yield tasks
        except BaseException as exc:  # noqa: BLE001 - raised again below, after the tasks have ended
            raised = exc
        await tasks.close()
    if raised is not None:
        raise raised


async def _awaited(job: Callable[[], Awaitable[T]]) -> T:
    return await job()


async def _outcome(job: Callable[[], Awaitable[T]]) -> T | _Failure:
    """A failure is the caller's, and must not end the group."""
    try:
        return await job()
    except Exception as exc:  # noqa: BLE001 - raised again in the caller's task
        return _Failure(exc)
