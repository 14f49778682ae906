"""What a store needs now and then: old turns let go, and records of an older version written anew.

One process at a time makes a pass through the store, at a pace that nobody feels: a page of keys a second. A pass
that ends in the middle, with its process, is begun again by another one a minute later. When it is through, the
next one is due in an hour.
"""

import asyncio
import logging
import secrets

from core.errors import AWAY
from core.store.client import Client
from core.store.records import VERSION, is_older
from core.store.renewal import Renewal
from core.store.retention import Retention
from core.store.walk import Walk

log = logging.getLogger(__name__)

_EVERY = 3600.0
_UNDER_WAY = 60.0  # how long a pass is believed to go on after its last page
_LOOK_EVERY = 30.0
_PAUSE = 1.0


class Upkeep:
    """The upkeep of one store. `pause` is how many seconds lie between two pages, `look_every` between two looks
    whether a pass is due."""

    def __init__(
        self, client: Client, retention: Retention, *, pause: float = _PAUSE, look_every: float = _LOOK_EVERY
    ) -> None:
        self._client = client
        self._retention = retention
        self._pause = pause
        self._look_every = look_every
        self._key = client.keys.value(f"upkeep/{VERSION}")

    async def run(self) -> None:
        """Make the passes that are due, until cancelled. A store that is away is waited for."""
        while True:
            try:
                if await self._is_due():
                    await self.once()
                    await self._mark(_EVERY)
            except AWAY as exc:
                log.warning("the upkeep of the store was interrupted: %s", exc)
            await asyncio.sleep(self._look_every)

    async def once(self) -> None:
        """One pass through the store. Raises `StoreUnavailable`."""
        oldest = await self.oldest()
        renewal = Renewal(self._client, is_older)
        if oldest < VERSION:
            log.warning("the store is brought from layout %d to %d; everything works meanwhile", oldest, VERSION)
        async for page in Walk(self._client).keys("c", "q", "t", "p", "unreadable"):
            await self._retention.apply(page)
            if oldest < VERSION:
                await renewal.apply(page)
            await self._mark(_UNDER_WAY)
            await asyncio.sleep(self._pause)
        await self._retention.apply_beside()
        if oldest < VERSION:
            await renewal.apply_beside()
            schema = self._client.keys.schema
            await self._client.ask("HSET", schema, "oldest", VERSION, key=schema, commit=True)
            log.warning("the store has layout %d now: %d records were written anew", VERSION, renewal.renewed)

    async def oldest(self) -> int:
        """The oldest version of what may be in the store. Raises `StoreUnavailable`."""
        schema = self._client.keys.schema
        return int(await self._client.ask("HGET", schema, "oldest", key=schema) or VERSION)

    async def _is_due(self) -> bool:
        """Whether it is us who make a pass now."""
        token = secrets.token_urlsafe(8)
        milliseconds = int(_UNDER_WAY * 1000)
        await self._client.ask("SET", self._key, token, "NX", "PX", milliseconds, key=self._key)
        # The answer to SET may have been lost, and the repetition refused.
        return bool(await self._client.ask("GET", self._key, key=self._key) == token.encode())

    async def _mark(self, seconds: float) -> None:
        await self._client.ask("PEXPIRE", self._key, int(seconds * 1000), key=self._key)
