"""The keys of programs and people that come over HTTP: whose each is, what it may use, and whether it still may.

A key is 256 random bits, so its SHA-256 is all that needs to be kept: nobody can guess what it is the digest of,
and a slow hash, as passwords need, would only cost every request. A revoked key stays listed, so that a server
that once had keys never becomes open to all again.

Limits are levels that fill up evenly over a minute, kept in Redis: they hold for all processes together.
"""

import hashlib
import secrets
import time
from collections.abc import Sequence
from typing import Literal

import msgspec

from core.store.client import Client

PREFIX = "tri-"
"""What every key begins with, so that a scanner for leaked secrets knows one."""

Scope = Literal["api", "admin"]


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key, without the key itself. `id` names it in lists and logs. Limits are for a minute; 0: no limit.

    `scope`: "api" for the API and the page, "admin" for the operator's page as well. `created` and `revoked` are
    in seconds since the epoch; 0: not revoked.
    """

    id: str
    name: str
    scope: Scope = "api"
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    created: float
    revoked: float = 0.0

    @property
    def is_valid(self) -> bool:
        return not self.revoked

    @property
    def is_limited(self) -> bool:
        return bool(self.requests_per_minute or self.tokens_per_minute)


class Allowance(msgspec.Struct, frozen=True):
    """What a key has left this minute; `None` where it has no limit. `wait`: seconds until it may ask again, when
    it was refused."""

    granted: bool
    requests: int | None
    tokens: int | None
    wait: float


class ApiKeys:
    """The keys of one store. Everything here raises `StoreUnavailable`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._key = client.keys.value("api-keys")

    async def add(
        self,
        name: str,
        *,
        scope: Scope = "api",
        requests_per_minute: int = 0,
        tokens_per_minute: int = 0,
    ) -> tuple[str, ApiKey]:
        """Make a key. What is returned first is the key itself, which nobody can read again later."""
        secret = PREFIX + secrets.token_urlsafe(32)
        key = ApiKey(
            id=secrets.token_hex(4),
            name=name,
            scope=scope,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            created=time.time(),
        )
        await self._write(_digest(secret), key)
        return secret, key

    async def any(self) -> bool:
        """Whether a key was ever made."""
        count: int = await self._client.read(lambda redis: redis.hlen(self._key))
        return count > 0

    async def find(self, secret: str) -> ApiKey | None:
        """The key that was made as `secret`, revoked ones too."""
        digest = _digest(secret)
        record: bytes | None = await self._client.read(lambda redis: redis.hget(self._key, digest))
        return None if record is None else msgspec.json.decode(record, type=ApiKey)

    async def valid(self, secret: str) -> str | None:
        """The id of the key that was made as `secret`, if it may be used."""
        key = await self.find(secret)
        return key.id if key is not None and key.is_valid else None

    async def all(self) -> Sequence[ApiKey]:
        """Every key, the oldest first."""
        return sorted((key for _, key in await self._records()), key=lambda key: key.created)

    async def revoke(self, id_or_name: str) -> Sequence[ApiKey]:
        """Let no key with this id or name be used any more. Returns those that could be until now."""
        revoked = []
        for digest, key in await self._records():
            if id_or_name in (key.id, key.name) and key.is_valid:
                await self._write(digest, msgspec.structs.replace(key, revoked=time.time()))
                revoked.append(key)
        return revoked

    async def ask(self, key: ApiKey) -> Allowance:
        """Take one request from what the key has left."""
        return await self._spend(key, requests=1, tokens=0)

    async def charge(self, key: ApiKey, tokens: int) -> Allowance:
        """Take the tokens of a prompt and its completion. Nobody can know them before, so a key may fall below
        nothing, and then waits longer."""
        return await self._spend(key, requests=0, tokens=tokens)

    async def _spend(self, key: ApiKey, *, requests: int, tokens: int) -> Allowance:
        if not key.is_limited:
            return Allowance(True, None, None, 0.0)
        limits = (key.requests_per_minute, key.tokens_per_minute)
        granted, *left, wait = await self._client.run(
            "spend", [self._client.keys.api(key.id)], *limits, requests, tokens
        )
        of_requests, of_tokens = (number if limit else None for number, limit in zip(left, limits, strict=True))
        return Allowance(bool(granted), of_requests, of_tokens, wait / 1000)

    async def _records(self) -> list[tuple[str, ApiKey]]:
        found: dict[bytes, bytes] = await self._client.read(lambda redis: redis.hgetall(self._key))
        return [(name.decode(), msgspec.json.decode(record, type=ApiKey)) for name, record in found.items()]

    async def _write(self, digest: str, key: ApiKey) -> None:
        await self._client.ask("HSET", self._key, digest, msgspec.json.encode(key), key=self._key, commit=True)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
