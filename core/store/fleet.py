"""Who is alive, and which bots must be silent. Knows no platform: a bot is a name.

A worker beats; whoever has not done so for 15 s, by the server's clock, is not counted. A pause is published, and
found by the next beat in case that was lost.
"""

import asyncio
import secrets

from core.store.channels import Channels
from core.store.client import Client
from core.store.records import decode_pause, encode

ALIVE_MS = 15_000

_PAUSES = "pauses"


class StoreFleet:
    """`core.turns.Fleet` on Redis."""

    def __init__(self, client: Client, channels: Channels) -> None:
        self._client = client
        self._channels = channels
        self._keys = client.keys
        self._name = secrets.token_urlsafe(8)
        self._beaten = False
        self._workers = 1
        self._paused_until: dict[str, float] = {}
        self.listening = channels.listening(self._keys.channel(_PAUSES), self._hear)

    @property
    def workers(self) -> int:
        return self._workers

    async def beat(self) -> None:
        """Say that this worker is alive, and learn about the others. Raises `StoreUnavailable`."""
        self._beaten = True
        now = asyncio.get_running_loop().time()
        workers, pauses = await self._client.run(
            "fleet", [self._keys.fleet("workers"), self._keys.fleet("pauses")], self._name, ALIVE_MS
        )
        self._workers = max(1, workers)
        self._paused_until = {bot: until for bot, until in self._paused_until.items() if until > now}
        for bot, left in zip(pauses[::2], pauses[1::2], strict=True):
            self._hush(bot.decode(), int(left) / 1000)

    async def leave(self) -> None:
        """This worker is going: the others need not wait until it is missed. Raises `StoreUnavailable`."""
        if self._beaten:
            key = self._keys.fleet("workers")
            await self._client.read(lambda redis: redis.zrem(key, self._name))

    async def pause(self, bot: str, seconds: float) -> None:
        self._hush(bot, seconds)
        await self._client.run(
            "pause",
            [self._keys.fleet("pauses")],
            *(bot, int(seconds * 1000), self._keys.channel(_PAUSES), encode((bot, seconds))),
        )

    def paused_until(self, bot: str) -> float:
        return self._paused_until.get(bot, 0.0)

    def _hear(self, message: bytes) -> None:
        self._hush(*decode_pause(message))

    def _hush(self, bot: str, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self._paused_until[bot] = max(until, self.paused_until(bot))
