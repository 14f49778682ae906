"""The append-only file of a server, which has all that was ever written until it is rewritten."""

import asyncio
from typing import Any

from redis.exceptions import ResponseError

from core.errors import StoreUnavailable
from core.store.client import Client

_LOOK_EVERY = 0.05
_SECONDS = 600.0


async def rewrite(client: Client) -> None:
    """Have the file rewritten from what is there now, and return when that is done.

    Raises `StoreUnavailable`, also when it is not done within ten minutes.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            while not await client.read(_begin):
                await idle(client)  # the one that is under way began before now
            state = await idle(client)
    except TimeoutError:
        raise StoreUnavailable(f"{client.describe()} is still rewriting its append-only file") from None
    if state["aof_last_bgrewrite_status"] != "ok":
        raise StoreUnavailable(f"{client.describe()} could not rewrite its append-only file")


async def _begin(redis: Any) -> bool:
    try:
        await redis.bgrewriteaof()
    except ResponseError as exc:
        if "already in progress" not in str(exc):
            raise
        return False
    return True


async def idle(client: Client) -> dict[str, Any]:
    """What the server says of its files once it rewrites none. It does not tell when that is: we ask. Raises
    `StoreUnavailable`."""
    while True:
        state: dict[str, Any] = await client.read(lambda redis: redis.info("persistence"))
        if not state["aof_rewrite_in_progress"] and not state["aof_rewrite_scheduled"]:
            return state
        await asyncio.sleep(_LOOK_EVERY)
