"""Whether what is in a store is laid out as we lay it out. Changes nothing but the number of shards, once."""

from core.errors import StoreUnavailable
from core.store.connect import AnyRedis
from core.store.keys import Keys


async def check_shards(redis: AnyRedis, keys: Keys, name: str) -> None:
    """Fix the number of shards in the store called `name` if it is new.

    Raises `StoreUnavailable` for one with another number, and redis-py's errors.
    """
    shards = len(keys.tags)
    await redis.set(keys.shards, shards, nx=True)
    made_with = int(await redis.get(keys.shards) or shards)
    if made_with != shards:
        raise StoreUnavailable(
            f"{name} was made with {made_with} shards, and that cannot change: set redis.shards = {made_with}"
        )
