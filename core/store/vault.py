"""Secrets that an adapter is given and must keep: tokens of accounts that have let the bot in. They are encrypted
where what people say is. Tickets say that something was begun here, and are good once.
"""

from datetime import timedelta

from core.store.client import Client


class Vault:
    """That of one store. Everything here raises `StoreUnavailable`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._key = client.keys.value("secrets")

    async def put(self, name: str, secret: str) -> None:
        """Keep it, in place of what was kept under this name. On disk when this returns."""
        record = self._client.records.encode_text(secret)
        await self._client.ask("HSET", self._key, name, record, key=self._key, commit=True)

    async def get(self, name: str) -> str | None:
        record: bytes | None = await self._client.ask("HGET", self._key, name, key=self._key)
        return None if record is None else self._client.records.decode_text(record)

    async def remove(self, name: str) -> None:
        await self._client.ask("HDEL", self._key, name, key=self._key, commit=True)

    async def names(self, beginning: str) -> list[str]:
        """Those that begin so, in their order."""
        names: list[bytes] = await self._client.ask("HKEYS", self._key, key=self._key)
        return sorted(name for each in names if (name := each.decode()).startswith(beginning))

    async def issue(self, ticket: str, expires: timedelta) -> None:
        key = self._client.keys.value(f"ticket/{ticket}")
        await self._client.ask("SET", key, b"1", "EX", int(expires.total_seconds()), key=key)

    async def use(self, ticket: str) -> bool:
        """Whether it is good. Where the store's answer was lost, it is not, and a new one is needed."""
        key = self._client.keys.value(f"ticket/{ticket}")
        return await self._client.ask("GETDEL", key, key=key) is not None
