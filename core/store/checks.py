"""Whether a server, and what is in it, is one that we can use. Changes nothing but the number of shards, once."""

import logging
from collections.abc import Callable
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import ResponseError

from core.errors import StoreUnavailable
from core.store.connect import AnyRedis
from core.store.durability import Command, Durability
from core.store.keys import Keys

log = logging.getLogger(__name__)


class Checks:
    """What to look at when a store is connected to, and again after any failure: another server may answer then.

    `name` says where the store is, without any secret.
    """

    def __init__(self, name: Callable[[], str]) -> None:
        self._name = name
        self._durable = True

    async def commits(self, redis: AnyRedis) -> tuple[Command, ...]:
        """What must be sent after a script at a commit point. Warns when nothing there outlives the server.

        Raises as `Durability.of`, and redis-py's errors.
        """
        servers: list[Any] = [redis]
        if isinstance(redis, RedisCluster):
            await redis.initialize()
            servers = redis.get_primaries()
        promises = [await self._look_at(server) for server in servers]
        self._warn(durable=all(promise.durable for promise in promises))
        return tuple(dict.fromkeys(command for promise in promises for command in promise.commits))

    async def shards(self, redis: AnyRedis, shards: int) -> None:
        """Fix the number of shards in a new store. Raises `StoreUnavailable` for one with another number."""
        await redis.set(Keys.shards_key, shards, nx=True)
        made_with = int(await redis.get(Keys.shards_key) or shards)
        if made_with != shards:
            raise StoreUnavailable(
                f"{self._name()} was made with {made_with} shards, and that cannot change: "
                f"set redis.shards = {made_with}"
            )

    def _warn(self, *, durable: bool) -> None:
        if self._durable and not durable:
            log.warning(
                "NOT DURABLE: %s has no append-only file. What it has accepted is lost when it ends: "
                "set 'appendonly yes' there",
                self._name(),
            )
        self._durable = durable

    async def _look_at(self, server: Any) -> Durability:
        info = await server.execute_command("INFO")
        try:
            fsync = (await server.execute_command("CONFIG GET", "appendfsync")).get("appendfsync")
        except ResponseError:
            fsync = None
        return Durability.of(self._name(), info, fsync)
