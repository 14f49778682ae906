"""Events that need no conversation: greetings and help. They are answered at least once, in no order."""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass

from core.errors import StoreUnavailable
from core.store.client import Client
from core.store.records import ShowingRecord
from core.store.streams import Entry, WorkQueue
from core.turns import Event

log = logging.getLogger(__name__)

STALE_AFTER = 60.0
"""Seconds until an entry is given to somebody else: nothing renews it, so it must outlast a slow platform."""


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

    async def take(self, platforms: Collection[str], count: int, *, wait: float) -> list[ControlEntry]:
        """At most `count` events of these platforms. Waits at most `wait` seconds. Raises `StoreUnavailable`."""
        taken: list[ControlEntry] = []
        for entry in await self._queue.read(platforms, count, wait=wait):
            try:
                taken.append(ControlEntry(self._client.records.decode(Event, entry.fields[b"e"]), entry))
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

    async def done(self, entry: ControlEntry) -> None:
        """It is answered, or cannot be. Raises `StoreUnavailable`."""
        await self._end(entry.entry)

    async def _end(self, entry: Entry) -> None:
        await self._client.run("done", [entry.stream], entry.id)
