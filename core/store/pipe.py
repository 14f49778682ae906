"""Calls that are made at the same time travel together. Knows nothing of what is called."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from core.errors import Overloaded, StoreUnavailable

_BATCH = 512


async def outcomes(answers: Sequence[asyncio.Future[Any]], *, within: float | None = None) -> list[Any]:
    """What each answer came to: a value, or an exception. One that is not there `within` seconds is given up, and
    comes to `StoreUnavailable`; so are all when the caller is cancelled."""
    try:
        if answers:
            await asyncio.wait(answers, timeout=within)
    finally:
        for answer in answers:
            answer.cancel()
    return [outcome(answer) for answer in answers]


def outcome(answer: asyncio.Future[Any]) -> Any:
    """What an answer that is there came to: a value, or an exception."""
    if answer.cancelled():
        return StoreUnavailable("the store did not answer in time")
    return answer.exception() or answer.result()


class Pipe:
    """Gathers calls and sends them in batches, one batch at a time, in the order in which they were made.

    `send` answers each call of a batch with a value or an exception, or raises for all of them.
    """

    def __init__(
        self, send: Callable[[Sequence[Any]], Awaitable[list[Any]]], *, most_waiting: int = 10_000
    ) -> None:
        self._send = send
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[Any, asyncio.Future[Any]]] = deque()
        self._work = asyncio.Event()
        self._closed = False

    async def call(self, call: Any) -> Any:
        """The answer to one call. Raises `Overloaded` when too many wait, and what `send` raises."""
        return await self.start(call)

    def start(self, call: Any) -> asyncio.Future[Any]:
        """The answer to come, as for `call`. Cancelling it takes back a call that was not sent yet."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._closed:
            answer.set_exception(StoreUnavailable("the store is closed"))
        elif len(self._waiting) >= self._most_waiting:
            answer.set_exception(Overloaded(f"{self._most_waiting} calls wait for Redis"))
        else:
            self._waiting.append((call, answer))
            self._work.set()
        return answer

    async def run(self) -> None:
        """Send until cancelled. Whatever waits then gets `StoreUnavailable`."""
        batch: list[tuple[Any, asyncio.Future[Any]]] = []
        try:
            while True:
                await self._work.wait()
                batch = self._next_batch()
                if batch:
                    await self._send_batch(batch)
                else:
                    self._work.clear()
        finally:
            self._closed = True
            for _, answer in (*batch, *self._waiting):
                if not answer.done():
                    answer.set_exception(StoreUnavailable("the store is being closed"))
            self._waiting.clear()

    def _next_batch(self) -> list[tuple[Any, asyncio.Future[Any]]]:
        batch: list[tuple[Any, asyncio.Future[Any]]] = []
        while self._waiting and len(batch) < _BATCH:
            call, answer = self._waiting.popleft()
            if not answer.cancelled():
                batch.append((call, answer))
        return batch

    async def _send_batch(self, batch: Sequence[tuple[Any, asyncio.Future[Any]]]) -> None:
        try:
            answers = await self._send([call for call, _ in batch])
        except Exception as exc:  # noqa: BLE001 - the loop must live on, and each caller is told
            answers = [exc] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
