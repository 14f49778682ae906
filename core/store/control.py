"""Events that need no conversation: greetings and help. They are answered at least once, in no order."""

from collections.abc import Collection
from dataclasses import dataclass

from core.store.client import Client
from core.store.records import ShowingRecord, decode_event, encode
from core.store.streams import Entry, WorkQueue
from core.turns import Event

STALE_AFTER = 60.0
"""Seconds until an entry is given to somebody else: nothing renews it, so it must outlast a slow platform."""


@dataclass(frozen=True, slots=True)
class ControlEntry:
    """One control event on its way to an answer."""

    event: Event
    entry: Entry


class Control:
    """What a worker does with control events."""

    def __init__(self, client: Client, queue: WorkQueue) -> None:
        self._client = client
        self._queue = queue

    async def take(self, platforms: Collection[str], count: int, *, wait: float) -> list[ControlEntry]:
        """At most `count` events of these platforms. Waits at most `wait` seconds. Raises `StoreUnavailable`."""
        entries = await self._queue.read(platforms, count, wait=wait)
        return [ControlEntry(decode_event(entry.fields[b"e"]), entry) for entry in entries]

    async def showing(self, entry: ControlEntry, part: int, text: str, *, final: bool) -> None:
        """Tell whoever watches what the answer shows. Nothing of it is kept. Raises `StoreUnavailable`."""
        channel = self._client.keys.watchers(entry.event.conversation)
        record = encode(ShowingRecord(entry.event.id, part, text, len(text), final))
        await self._client.read(lambda redis: redis.execute_command("PUBLISH", channel, record))

    async def done(self, entry: ControlEntry) -> None:
        """It is answered, or cannot be. Raises `StoreUnavailable`."""
        await self._client.run("done", [entry.entry.stream], entry.entry.id)
