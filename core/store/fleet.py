"""Who is alive, for which adapters, which bots must be silent, and which adapters the operator holds. Adapters
and bots are names here.

A worker beats; whoever has not done so for 15 s, by the server's clock, is not counted. A pause is published, and
found by the next beat in case that was lost. What is held stays so until it is let go, and is found by the next
beat of each.
"""

import asyncio
import secrets
from collections.abc import Collection
from typing import Any, Literal

from core.store.channels import Channels
from core.store.client import Client
from core.store.records import decode_pause, encode_plain

ALIVE_MS = 15_000

# Work is only left to those who beat within the last two of their beats, and a second.
_LATELY_MS = 7_000
_PAUSES = "pauses"


class StoreFleet:
    """`core.turns.Fleet` on Redis."""

    def __init__(self, client: Client, channels: Channels) -> None:
        self._client = client
        self._channels = channels
        self._keys = client.keys
        self._name = secrets.token_urlsafe(8)
        self._beat_as = ""
        self._workers = 1
        self._paused_until: dict[str, float] = {}
        self._held: frozenset[str] = frozenset()
        self.listening = channels.listening(self._keys.channel(_PAUSES), self._hear)

    @property
    def workers(self) -> int:
        return self._workers

    @property
    def held(self) -> frozenset[str]:
        """The platforms on which nobody is to be answered now, as of the last beat or look."""
        return self._held

    async def hold(self, platform: str) -> None:
        """Let nobody be answered there until `let_go`: what is said waits. Raises `StoreUnavailable`."""
        await self._order("SADD", platform)

    async def let_go(self, platform: str) -> None:
        """Have what waits there answered. Raises `StoreUnavailable`."""
        await self._order("SREM", platform)

    async def _order(self, command: Literal["SADD", "SREM"], platform: str) -> None:
        key = self._keys.fleet("held")
        await self._client.ask(command, key, platform, key=key, commit=True)
        await self._tell("", "")

    async def beat(self, platforms: Collection[str] = ()) -> None:
        """Say that this worker is alive and which platforms it delivers to, and learn about the others.

        Raises `StoreUnavailable`.
        """
        before, self._beat_as = self._beat_as, " ".join((self._name, *sorted(platforms)))
        await self._tell(self._beat_as, before)

    async def leave(self) -> None:
        """This worker is going: the others need not wait until it is missed. Raises `StoreUnavailable`."""
        if self._beat_as:
            await self._tell("", self._beat_as)
            self._beat_as = ""

    async def others(self) -> list[frozenset[str]]:
        """For each other worker that is alive, the platforms that it delivers to. Raises `StoreUnavailable`."""
        workers = [worker.decode().split(" ") for worker in await self._tell("", "")]
        return [frozenset(platforms) for name, *platforms in workers if name != self._name]

    async def pause(self, bot: str, seconds: float) -> None:
        self._hush(bot, seconds)
        await self._client.run(
            "pause",
            [self._keys.fleet("pauses")],
            *(bot, int(seconds * 1000), self._keys.channel(_PAUSES), encode_plain((bot, seconds))),
        )

    def paused_until(self, bot: str) -> float:
        return self._paused_until.get(bot, 0.0)

    async def _tell(self, worker: str, before: str) -> list[bytes]:
        now = asyncio.get_running_loop().time()
        keys = [self._keys.fleet("workers"), self._keys.fleet("pauses"), self._keys.fleet("held")]
        answer: list[Any] = await self._client.run("fleet", keys, worker, before, ALIVE_MS, _LATELY_MS)
        workers, pauses, others, held = answer
        self._workers = max(1, workers)
        self._held = frozenset(platform.decode() for platform in held)
        self._paused_until = {bot: until for bot, until in self._paused_until.items() if until > now}
        for bot, left in zip(pauses[::2], pauses[1::2], strict=True):
            self._hush(bot.decode(), int(left) / 1000)
        return list(others)

    def _hear(self, message: bytes) -> None:
        self._hush(*decode_pause(message))

    def _hush(self, bot: str, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self._paused_until[bot] = max(until, self.paused_until(bot))
