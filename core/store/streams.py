"""Streams as work queues: each entry goes to one reader, and to another one if the first does not end it in time.

There is one stream a shard and platform, and one consumer group with one consumer for everybody: who works on an
entry is said by a lease, or by nobody, never by the consumer's name. So no names of dead processes pile up.
This module knows nothing of what an entry means, nor how it ends.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial

from core.errors import StoreUnavailable
from core.store import keys
from core.store.background import Background
from core.store.client import Client

log = logging.getLogger(__name__)

GROUP, CONSUMER = "workers", "worker"
_LONGEST_BLOCK = 2.0
_AGAIN_SECONDS = 1.0
_LEAST_STALE = 10
_START = b"0-0"


_Streams = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream."""

    stream: str
    id: str
    fields: dict[bytes, bytes] = field(repr=False)


class WorkQueue:
    """The streams of one kind. `stale_after` seconds unattended, an entry is given to the next reader.

    A blocking read takes at least one entry of each stream that has any, which may be more than was asked for; and
    on a cluster each shard has a read of its own, which goes on while others have answered. What was read and not
    asked for waits here for the next reading, and is put back by `leave`.
    """

    def __init__(self, client: Client, kind: keys.Queue, tasks: Background, *, stale_after: float) -> None:
        self._client = client
        self._kind = kind
        self._tasks = tasks
        self._stale_after = stale_after
        self._left: deque[Entry] = deque()
        self._put_off: list[tuple[float, Entry]] = []
        self._reads: dict[_Streams, asyncio.Task[list[Entry] | StoreUnavailable]] = {}
        self._away: dict[_Streams, float] = {}  # and when to try again, while others can be read
        self._look_for_stale_at: dict[_Streams, float] = {}
        self._cursors: dict[str, bytes] = {}

    async def read(self, platforms: Collection[str], count: int, *, wait: float) -> list[Entry]:
        """At most `count` entries: stale ones when it is time to look for them, then new ones. None where there is
        no platform.

        Waits at most `wait` seconds for the first. A shard that is away holds up no other. Raises
        `StoreUnavailable` when all are.
        """
        if not platforms:
            await asyncio.sleep(wait)  # what was read before may be wanted again
            return []
        loop = asyncio.get_running_loop()
        ends = loop.time() + wait
        while not self._is_any_left() and (left := ends - loop.time()) > 0:
            due = min((due for due, _ in self._put_off), default=ends) - loop.time()
            await self._wait_for_any(platforms, count, min(left, max(due, 0.001), _LONGEST_BLOCK))
        entries: list[Entry] = []
        wanted = {stream for streams in self._sets(platforms) for stream in streams}
        while self._left and len(entries) < count:
            # What is not wanted any more becomes stale, and somebody else's.
            if (entry := self._left.popleft()).stream in wanted:
                entries.append(entry)
        return entries

    async def read_stale(self, platforms: Collection[str], count: int) -> list[Entry]:
        """Entries that nobody attended to for `stale_after` seconds, at most `count` of them. Does not wait."""
        found: list[Entry] = []
        for streams in self._sets(platforms):
            found += await self._stale(streams, count)
        self._left.extendleft(reversed(found[count:]))
        return found[:count]

    def put_off(self, entry: Entry, seconds: float) -> None:
        """Read it here again in so many seconds; if this process ends before that, somebody else does."""
        self._put_off.append((asyncio.get_running_loop().time() + seconds, entry))

    def _is_any_left(self) -> bool:
        now = asyncio.get_running_loop().time()
        self._left += [entry for due, entry in self._put_off if due <= now]
        self._put_off = [(due, entry) for due, entry in self._put_off if due > now]
        return bool(self._left)

    async def pass_by(self) -> None:
        """Let others have what was read here and not used, at once, and what a reading that is still under way
        brings, which is waited for. Raises `StoreUnavailable`."""
        await self._end_reads()
        await self._put_back()

    async def leave(self) -> None:
        """As `pass_by`, but what is under way is broken off."""
        for read in self._reads.values():
            read.cancel()
        await self._end_reads()
        await self._put_back()

    async def _end_reads(self) -> None:
        """Also those that begin meanwhile."""
        while self._reads:
            await asyncio.wait(self._reads.values())
            for streams in [streams for streams, read in self._reads.items() if read.done()]:
                read = self._reads.pop(streams)
                if not read.cancelled() and not isinstance(answer := read.result(), StoreUnavailable):
                    self._left += answer

    async def _put_back(self) -> None:
        self._left += [entry for _, entry in self._put_off]
        self._put_off.clear()
        unused: dict[str, list[str]] = {}
        while self._left:
            entry = self._left.popleft()
            unused.setdefault(entry.stream, []).append(entry.id)
        idle = int(self._stale_after * 1000)
        for stream, entries in unused.items():
            await self._client.run("put_back", [stream], idle, *entries)

    async def _wait_for_any(self, platforms: Collection[str], count: int, wait: float) -> None:
        """Have one read under way for each set of streams that can be read together, and wait for one to end."""
        sets, now = self._sets(platforms), asyncio.get_running_loop().time()
        everywhere = self._away.keys() >= set(sets)
        for streams in sets:
            if streams not in self._reads and (everywhere or self._away.get(streams, now) <= now):
                self._reads[streams] = self._tasks.start(partial(self._read_streams, streams, count, wait))
        if not self._reads:
            await asyncio.sleep(wait)
            return
        done, _ = await asyncio.wait(self._reads.values(), timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        for streams in [streams for streams, read in self._reads.items() if read in done]:
            answer = self._reads.pop(streams).result()
            if not isinstance(answer, StoreUnavailable):
                self._left += answer
                self._away.pop(streams, None)
                continue
            is_news = streams not in self._away
            self._away[streams] = now + _AGAIN_SECONDS
            if self._away.keys() >= set(sets) and not self._left:
                raise answer
            if is_news:
                log.warning("%s cannot be read: %s", streams[0], answer)

    async def _read_streams(self, streams: _Streams, count: int, wait: float) -> list[Entry] | StoreUnavailable:
        """What a task must not raise is its answer: its group would end with it."""
        try:
            if asyncio.get_running_loop().time() >= self._look_for_stale_at.get(streams, 0.0) and (
                stale := await self._stale(streams, count)
            ):
                return stale
            return await self._new(streams, count, wait)
        except StoreUnavailable as exc:
            return exc

    async def _stale(self, streams: _Streams, count: int) -> list[Entry]:
        cursors = [self._cursors.get(stream, _START) for stream in streams]
        idle = int(self._stale_after * 1000)
        leased = int(self._kind == "ready")
        answers = await self._client.run("stale", streams, idle, max(count, _LEAST_STALE), leased, *cursors)
        found: list[Entry] = []
        for stream, (cursor, entries) in zip(streams, answers, strict=True):
            self._cursors[stream] = cursor
            for name, fields in filter(None, entries):  # older servers answer nothing for an entry that is gone
                found.append(_entry(stream, name, dict(zip(fields[::2], fields[1::2], strict=True))))
        if all(self._cursors[stream] == _START for stream in streams):
            self._look_for_stale_at[streams] = asyncio.get_running_loop().time() + self._stale_after / 3
        return found

    async def _new(self, streams: _Streams, count: int, wait: float) -> list[Entry]:
        each = max(1, count // len(streams))
        block = max(1, int(wait * 1000))
        how = ("GROUP", GROUP, CONSUMER, "COUNT", str(each), "BLOCK", str(block))
        new = [">"] * len(streams)
        try:
            answer = await self._client.ask("XREADGROUP", *how, "STREAMS", *streams, *new, key=streams[0])
        except StoreUnavailable as exc:
            if not str(exc.__cause__).startswith("NOGROUP"):
                raise
            self._look_for_stale_at.pop(streams, None)  # that look makes the group
            return []
        return [
            _entry(stream.decode(), name, fields)
            for stream, entries in answer or ()
            for name, fields in entries
            if fields
        ]

    def _sets(self, platforms: Collection[str]) -> list[_Streams]:
        """What can be read in one go: all streams of a server, or of a shard where there is a cluster."""
        of_platforms = [self._client.keys.queues(self._kind, platform) for platform in sorted(platforms)]
        shards = list(zip(*of_platforms, strict=True))
        if self._client.is_cluster or not shards:
            return shards
        return [tuple(stream for shard in shards for stream in shard)]


def _entry(stream: str, name: bytes, fields: dict[bytes, bytes]) -> Entry:
    return Entry(stream, name.decode(), fields)
