"""Leases on names: one process at a time does what a name stands for. Knows nothing of what that is.

A lease is a key that holds its owner's token and expires by the server's clock. The owner counts by its own clock,
from before each renewal was asked for, and ends what it does a third of the lease before anybody else can begin:
so a process that was paused, or that has lost sight of Redis, stops by itself. Whoever waits asks nine times
a lease, so that one that was given back is taken at once.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from core.errors import AWAY
from core.store.background import background
from core.store.client import Client

log = logging.getLogger(__name__)

_GIVE_BACK_SECONDS = 1.0


class Leases:
    """The leases of one store. Each lasts `lease` seconds unless it is renewed."""

    def __init__(self, client: Client, *, lease: float = 9.0) -> None:
        self._client = client
        self._lease = lease
        self._margin = lease / 3
        self._renew_every = lease / 5
        self._ask_every = lease / 9

    async def alone(
        self, name: str, work: Callable[[], Awaitable[None]], *, standing_by: Callable[[str], None]
    ) -> None:
        """Run `work` to its end, in one process at a time of all that say the same `name`.

        While another process holds the lease, we wait; `standing_by` is told once where that one runs. When we
        lose the lease `work` is cancelled, and begun anew when the lease is ours again. However `work` ends, the
        lease is given back after it. Raises what `work` raises. A store that is away is waited for.
        """
        ended = False
        while not ended:
            token = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_urlsafe(8)}"
            try:
                ends = await self._wait_for(name, token, standing_by)
                ended = await self._work(name, token, ends, work)
            finally:
                await self._give_back(name, token)

    async def holder(self, name: str) -> str | None:
        """Where the process runs that holds the lease: host and process id. Raises `StoreUnavailable`."""
        key = self._key(name)
        token: bytes | None = await self._client.read(lambda redis: redis.get(key))
        return None if token is None else _where(token)

    async def _wait_for(self, name: str, token: str, standing_by: Callable[[str], None]) -> float:
        """The event loop's time at which our lease ends."""
        told = False
        while True:
            started = _now()
            try:
                other = await self._ask(name, token, self._lease)
            except AWAY as exc:
                log.warning("nobody knows who has %s: %s", name, exc)
            else:
                if other is None:
                    return started + self._lease
                if not told:
                    standing_by(other)
                told = True
            await asyncio.sleep(self._ask_every)

    async def _work(self, name: str, token: str, ends: float, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether `work` has ended by itself, and not because the lease did."""
        try:
            async with asyncio.timeout_at(ends - self._margin) as limit, background() as tasks:
                tasks.start(partial(self._renew, name, token, limit))
                await work()
        except TimeoutError:
            if not limit.expired():
                raise
            log.warning("lost %s: what it stands for is ended here", name)
            return False
        return True

    async def _renew(self, name: str, token: str, limit: asyncio.Timeout) -> None:
        other = None
        while other is None:
            await asyncio.sleep(self._renew_every)
            started = _now()
            try:
                other = await self._ask(name, token, self._lease)
            except AWAY as exc:
                log.warning("could not renew %s: %s", name, exc)
                continue
            if limit.expired():
                return
            limit.reschedule(_now() if other is not None else started + self._lease - self._margin)

    async def _give_back(self, name: str, token: str) -> None:
        with suppress(*AWAY, TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                await self._ask(name, token, 0.0)

    async def _ask(self, name: str, token: str, seconds: float) -> str | None:
        """Take, renew or give back. `None`: done; else where the holder runs."""
        holder, _ = await self._client.run(
            "lease",
            [self._key(name)],
            token,
            int(seconds * 1000),
            commit=True,
        )
        return _where(holder) if holder else None

    def _key(self, name: str) -> str:
        return self._client.keys.value(f"lease/{name}")


def _where(token: bytes) -> str:
    host, process, _ = token.decode().rsplit("/", 2)
    return f"{host}, process {process}"


def _now() -> float:
    return asyncio.get_running_loop().time()
