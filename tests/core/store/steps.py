"""Shortcuts through a turn for tests of the store."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from core.errors import StoreUnavailable
from core.store.claim import Claim
from core.store.scripts import ScriptName
from core.store.store import Store
from core.turns import Event
from tests.core.store.events import two_turns

T = TypeVar("T")

PATIENCE = 10.0


async def eventually(look: Callable[[], Awaitable[T]], *, within: float = PATIENCE) -> T:
    """The first true value that `look` finds. Fails when there is none in time."""
    async with asyncio.timeout(within):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.005)


@contextmanager
def ended_after(count: int, name: ScriptName, store: Store) -> Iterator[None]:
    """As if the process ended after so many scripts of that name."""

    async def run(called: ScriptName, keys: Sequence[str], *args: str | bytes | int, commit: bool = False) -> Any:
        nonlocal count
        count -= called == name
        if count < 0:
            raise StoreUnavailable("ended here")
        return await original(called, keys, *args, commit=commit)

    original = store.client.run
    store.client.run = run  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        store.client.run = original  # type: ignore[method-assign]


async def accept(store: Store, *events: Event) -> None:
    for event in events:
        assert await store.inbox.accept(event)


async def take(store: Store, platforms: Sequence[str] = ("web",)) -> Claim:
    """The next conversation that is ready."""
    [claim] = await eventually(lambda: store.claims.take(platforms, 1, wait=1))
    return claim


async def nothing_is_ready(store: Store) -> bool:
    return await store.claims.take(["web"], 4, wait=0.01) == []


async def take_over(store: Store) -> Claim:
    """The conversation whose lease has run out, once it has."""
    [claim] = await eventually(lambda: store.claims.take_stale(["web"], 1))
    return claim


async def complete(store: Store, claim: Claim, answer: str = "yes", *, window: int | None = 1) -> None:
    turns = two_turns(claim.event, answer, last=claim.last)
    await store.claims.complete(claim, turns=turns, text=answer, window=window)


async def answer(store: Store, text: str = "yes", *, window: int | None = 1) -> Claim:
    """Take the next conversation and answer it to the end."""
    claim = await take(store)
    await complete(store, claim, text, window=window)
    await store.claims.delivered(claim)
    return claim
