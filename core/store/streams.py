"""Streams as work queues: each entry goes to one reader, and to another one if the first does not end it in time.

There is one stream a shard and platform, and one consumer group with one consumer for everybody: who works on an
entry is said by a lease, or by nobody, never by the consumer's name. So no names of dead processes pile up.
This module knows nothing of what an entry means, nor how it ends.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from redis.exceptions import ResponseError

from core.errors import StoreUnavailable
from core.store import keys
from core.store.background import Background
from core.store.client import Client

GROUP, CONSUMER = "workers", "worker"
_LONGEST_BLOCK = 2.0
_LEAST_STALE = 10
_START = b"0-0"


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
    asked for waits here for the next reading, and becomes stale if there is none.
    """

    def __init__(self, client: Client, kind: keys.Queue, tasks: Background, *, stale_after: float) -> None:
        self._client = client
        self._kind = kind
        self._tasks = tasks
        self._stale_after = stale_after
        self._look_for_stale_at = 0.0
        self._cursors: dict[str, bytes] = {}
        self._left: deque[Entry] = deque()
        self._reads: dict[tuple[str, ...], asyncio.Task[list[Entry] | StoreUnavailable]] = {}

    async def read(self, platforms: Collection[str], count: int, *, wait: float) -> list[Entry]:
        """At most `count` entries: stale ones when it is time to look for them, then new ones.

        Waits at most `wait` seconds for the first. Raises `StoreUnavailable`.
        """
        loop = asyncio.get_running_loop()
        entries: list[Entry] = []
        if loop.time() >= self._look_for_stale_at:
            entries = await self.read_stale(platforms, count)
            if all(cursor == _START for cursor in self._cursors.values()):
                self._look_for_stale_at = loop.time() + self._stale_after / 3
        if not entries and not self._left:
            await self._read_new(platforms, count, min(wait, _LONGEST_BLOCK))
        wanted = {stream for shard in self._shards(platforms) for stream in shard}
        while self._left and len(entries) < count:
            # What is not wanted any more becomes stale, and somebody else's.
            if (entry := self._left.popleft()).stream in wanted:
                entries.append(entry)
        return entries

    async def read_stale(self, platforms: Collection[str], count: int) -> list[Entry]:
        """Entries that nobody attended to for `stale_after` seconds, at most `count` of them. Does not wait."""
        streams = [stream for shard in self._shards(platforms) for stream in shard]
        answers = await self._client.read(
            lambda redis: self._claim_stale(redis, streams, max(count, _LEAST_STALE))
        )
        found: list[Entry] = []
        for stream, (cursor, entries, *_) in zip(streams, answers, strict=True):
            self._cursors[stream] = cursor
            found += _entries(stream, entries)
        self._left.extendleft(reversed(found[count:]))
        return found[:count]

    async def _claim_stale(self, redis: Any, streams: Sequence[str], count: int) -> list[Any]:
        """The server looks at ten times `count` entries of a stream; what comes after them is the next call's."""
        idle = int(self._stale_after * 1000)
        pipeline = redis.pipeline(transaction=False)
        for stream in streams:
            cursor = self._cursors.get(stream, _START)
            pipeline.execute_command("XAUTOCLAIM", stream, GROUP, CONSUMER, idle, cursor, "COUNT", count)
        answers = await pipeline.execute(raise_on_error=False)
        for i, answer in enumerate(answers):
            if isinstance(answer, ResponseError) and _has_no_group(answer):
                await _make_groups(redis, [streams[i]])
                answers[i] = (_START, [])
            elif isinstance(answer, Exception):
                raise answer
        return list(answers)

    async def _read_new(self, platforms: Collection[str], count: int, wait: float) -> None:
        """Have one read under way for each set of streams that can be read together, and wait for one to end."""
        for streams in self._sets(platforms):
            if streams not in self._reads:
                self._reads[streams] = self._tasks.start(partial(self._read_streams, streams, count, wait))
        if not self._reads:
            await asyncio.sleep(wait)
            return
        done, _ = await asyncio.wait(self._reads.values(), timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        for streams in [streams for streams, read in self._reads.items() if read in done]:
            answer = self._reads.pop(streams).result()
            if isinstance(answer, StoreUnavailable):
                raise answer
            self._left += answer

    async def _read_streams(
        self, streams: tuple[str, ...], count: int, wait: float
    ) -> list[Entry] | StoreUnavailable:
        """What a task must not raise is its answer: its group would end with it."""
        each = max(1, count // len(streams))
        block = max(1, int(wait * 1000))
        command = ("XREADGROUP", "GROUP", GROUP, CONSUMER, "COUNT", each, "BLOCK", block, "STREAMS", *streams)

        async def ask(redis: Any) -> Any:
            try:
                return await redis.execute_command(*command, *[">"] * len(streams))
            except ResponseError as exc:
                if not _has_no_group(exc):
                    raise
                await _make_groups(redis, streams)
                return []

        try:
            answer = await self._client.read(ask)
        except StoreUnavailable as exc:
            return exc
        return [entry for stream, entries in answer or () for entry in _entries(stream.decode(), entries)]

    def _sets(self, platforms: Collection[str]) -> list[tuple[str, ...]]:
        shards = self._shards(platforms)
        if self._client.is_cluster:
            return shards
        return [tuple(stream for shard in shards for stream in shard)] if shards else []

    def _shards(self, platforms: Collection[str]) -> list[tuple[str, ...]]:
        of_platforms = [self._client.keys.queues(self._kind, platform) for platform in sorted(platforms)]
        return list(zip(*of_platforms, strict=True))


def _entries(stream: str, answer: Iterable[tuple[bytes, dict[bytes, bytes] | None]]) -> list[Entry]:
    return [Entry(stream, entry.decode(), fields) for entry, fields in answer if fields]


def _has_no_group(error: ResponseError) -> bool:
    return str(error).startswith("NOGROUP")


async def _make_groups(redis: Any, streams: Sequence[str]) -> None:
    """The group begins with the stream's first entry: what was accepted before it was made is not passed over."""
    for stream in streams:
        try:
            await redis.execute_command("XGROUP CREATE", stream, GROUP, "0", "MKSTREAM")
        except ResponseError as exc:
            if not str(exc).startswith("BUSYGROUP"):
                raise
