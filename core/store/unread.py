"""Events that nobody could read: kept as they are, for whoever can. `taking` puts them there.

What cannot be read was written by a newer version, with a key that is not there, or is damaged. The conversation
goes on without it; once this program can read it, it is answered.
"""

from dataclasses import dataclass, replace

from core.store.client import Client
from core.store.inbox import StoreInbox
from core.store.records import Unreadable
from core.turns import Event


@dataclass(frozen=True, slots=True)
class Found:
    """How many events can be read by now, and how many not, with the reason of one of these."""

    readable: int
    unreadable: int
    why: str


class Unread:
    """The events of one store that nobody could read. Everything here raises `StoreUnavailable`."""

    def __init__(self, client: Client, inbox: StoreInbox) -> None:
        self._client = client
        self._inbox = inbox

    async def look(self) -> Found:
        events = [event for _, _, event in await self._entries()]
        reasons = [str(event) for event in events if isinstance(event, Unreadable)]
        return Found(len(events) - len(reasons), len(reasons), reasons[0] if reasons else "")

    async def retry(self) -> int:
        """Have those answered that can be read by now; how many. Raises `Overloaded` when too much waits."""
        count = 0
        for stream, entry, event in await self._entries():
            if isinstance(event, Event):
                await self._inbox.accept(replace(event, id=f"{event.id}~again"))
                await self._client.ask("XDEL", stream, entry, key=stream, commit=True)
                count += 1
        return count

    async def _entries(self) -> list[tuple[str, bytes, Event | Unreadable]]:
        found: list[tuple[str, bytes, Event | Unreadable]] = []
        for stream in self._client.keys.all_unreadable:
            for entry, fields in await self._client.ask("XRANGE", stream, "-", "+", key=stream):
                found.append((stream, entry, self._event(fields[b"e"])))
        return found

    def _event(self, record: bytes) -> Event | Unreadable:
        try:
            return self._client.records.decode(Event, record)
        except Unreadable as exc:
            return exc
