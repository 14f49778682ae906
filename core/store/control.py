"""Events that need no conversation: greetings and help. They are answered at least once, in no order."""

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from core.errors import StoreUnavailable
from core.store.client import Client
from core.store.records import ShowingRecord
from core.store.streams import CONSUMER, GROUP, Entry, WorkQueue
from core.store.taking import Wanted
from core.turns import Event

log = logging.getLogger(__name__)

STALE_AFTER = 60.0
"""Seconds until an entry that nobody holds is given to somebody else: it must outlast a slow platform."""


@dataclass(frozen=True, slots=True)
class ControlEntry:
    """One control event on its way to an answer."""

    event: Event
    entry: Entry

    @property
    def age(self) -> float:
        """Seconds since it was accepted, as far as the server's clock and ours agree."""
        return time.time() - int(self.entry.id.partition("-")[0]) / 1000


class Control:
    """What a worker does with control events."""

    def __init__(self, client: Client, queue: WorkQueue) -> None:
        self._client = client
        self._queue = queue

    async def take(
        self, platforms: Collection[str], count: int, *, wait: float, wanted: Wanted | None = None
    ) -> list[ControlEntry]:
        """At most `count` events of these platforms; what is not `wanted` is left to others. Waits at most `wait`
        seconds. Raises `StoreUnavailable`."""
        taken: list[ControlEntry] = []
        for entry in await self._queue.read(platforms, count, wait=wait):
            try:
                event = self._client.records.decode(Event, entry.fields[b"e"])
                if wanted is None or wanted(event.said_in):
                    taken.append(ControlEntry(event, entry))
            except StoreUnavailable as exc:
                # Nothing depends on it, and it would come again for ever.
                log.error("passed over entry %s of %s: %s", entry.id, entry.stream, exc)  # noqa: TRY400
                await self._end(entry)
        return taken

    async def showing(self, entry: ControlEntry, part: int, text: str, *, final: bool) -> None:
        """Tell whoever watches what the answer shows. Nothing of it is kept. Raises `StoreUnavailable`."""
        channel = self._client.keys.watchers(entry.event.conversation)
        record = self._client.records.encode(ShowingRecord(entry.event.id, part, text, len(text), final))
        await self._client.read(lambda redis: redis.execute_command("PUBLISH", channel, record))

    async def hold(self, entry: ControlEntry) -> None:
        """Until cancelled: nobody else is given the entry, however long that is."""
        while True:
            await asyncio.sleep(STALE_AFTER / 3)
            with suppress(StoreUnavailable):  # it holds for a while without
                await self._renew(entry.entry)

    async def _renew(self, entry: Entry) -> None:
        stream = entry.stream
        await self._client.ask("XCLAIM", stream, GROUP, CONSUMER, "0", entry.id, "JUSTID", key=stream)

    async def done(self, entry: ControlEntry) -> None:
        """It is answered, or cannot be. Raises `StoreUnavailable`."""
        await self._end(entry.entry)

    async def _end(self, entry: Entry) -> None:
        await self._client.run("done", [entry.stream], entry.id)
