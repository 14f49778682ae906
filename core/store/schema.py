"""Which layout a store has, by whom it may be read, and how many shards it was made with.

    trialogue:shards    string   the number of shards, for ever
    trialogue:schema    hash     newest: the newest version of what may be in it; oldest: the oldest one
    trialogue:keys      set      the names of the keys with which something in it may be encrypted

A program reads its own version and the one before, and writes its own from its first moment on: `newest` says so
before anything else is written, and an older program that starts then is refused. Records of the version before
are written anew while all others work (`upkeep`); then `oldest` follows.
"""

from core.errors import StoreUnavailable
from core.store.connect import AnyRedis
from core.store.keys import Keys
from core.store.records import VERSION
from core.store.sealing import Keyring

_FIRST = 1  # it wrote no version


async def check(redis: AnyRedis, keys: Keys, keyring: Keyring | None, name: str) -> None:
    """Look whether we may use the store called `name`, and make it if it is new.

    Raises `StoreUnavailable` when we may not, and redis-py's errors.
    """
    is_new = await redis.set(keys.shards, len(keys.tags), nx=True)
    await _check_shards(redis, keys, name)
    await _check_version(redis, keys, name, VERSION if is_new else _FIRST)
    await _check_keys(redis, keys, keyring, name)


async def _check_shards(redis: AnyRedis, keys: Keys, name: str) -> None:
    shards = len(keys.tags)
    made_with = int(await redis.get(keys.shards) or shards)
    if made_with != shards:
        raise StoreUnavailable(
            f"{name} was made with {made_with} shards, and that cannot change: set redis.shards = {made_with}, or "
            "take it to a new store with 'trialogue memory export' and 'import'"
        )


async def _check_version(redis: AnyRedis, keys: Keys, name: str, otherwise: int) -> None:
    """`otherwise` is the version of a store that does not say one."""
    await redis.hsetnx(keys.schema, "oldest", otherwise)
    newest = int(await redis.hget(keys.schema, "newest") or otherwise)
    if newest > VERSION:
        raise StoreUnavailable(
            f"{name} was used by a newer version of this program (layout {newest}, and this one knows {VERSION}): "
            "update this one"
        )
    if newest < VERSION or otherwise == VERSION:
        await redis.hset(keys.schema, "newest", VERSION)


async def _check_keys(redis: AnyRedis, keys: Keys, keyring: Keyring | None, name: str) -> None:
    used = {str(key, "ascii") for key in await redis.smembers(keys.sealed_by) if isinstance(key, bytes)}
    ours = [] if keyring is None else keyring.ids
    if missing := sorted(used - set(ours)):
        raise StoreUnavailable(
            f"{name} is encrypted, and redis.encryption_keys lacks the key {', '.join(missing)}"
            if ours
            else f"{name} is encrypted: set redis.encryption_keys"
        )
    if ours and ours[0] not in used:
        await redis.sadd(keys.sealed_by, ours[0])
