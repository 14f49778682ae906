"""When the bot was last there, and where it takes part, kept in the store: so that what was said while it was away
can be read later.

An event that is not acknowledged Slack brings again at once, after a minute and after five
(https://docs.slack.dev/apis/events-api#retries). So a short absence misses nothing, and after a long one nobody
tells us what there was. Knows neither how events come nor how messages are read.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import msgspec

from adapters.gap import Gap
from adapters.slack.events import Message
from core.errors import StoreUnavailable
from core.turns import Inbox

log = logging.getLogger(__name__)

_K = TypeVar("_K")
_V = TypeVar("_V")

AWAY = 300.0
"""Seconds without us after which something may be missing."""

_OVERLAP = 60.0  # that a connection is dead is noticed late, and what it brought last may not have been taken
_KEPT = timedelta(days=30)
_EVERY = 30.0
_PAUSE = 1.0  # between two writes, when many rooms become known at once
_LAST_WRITE = 1.0
_DIRECTS = 100
_THREADS = 100


class Thread(msgspec.Struct, frozen=True, array_like=True):
    """A thread that the bot takes part in. What was said in it before the ts `since` was not for the bot."""

    channel: str
    ts: str
    since: str = "0"


class _Record(msgspec.Struct, frozen=True):
    there: float
    directs: list[str]
    threads: list[Thread]


class Attendance:
    """That of the bot `bot`. `clock` says the seconds since the epoch; `gap` is opened with each long absence.

    What was said before the bot listened for the first time is not missing.
    """

    def __init__(self, inbox: Inbox, bot: str, clock: Callable[[], float], gap: Gap) -> None:
        self._inbox = inbox
        self._key = f"slack/{bot}/attendance"
        self._clock = clock
        self._gap = gap
        self._connections = 0
        self._loaded = False
        self._there: float | None = None
        self._missing_since: float | None = None
        self._returned = asyncio.Event()
        self._changed = asyncio.Event()
        self._directs: dict[str, None] = {}
        self._threads: dict[tuple[str, str], Thread] = {}

    @property
    def directs(self) -> list[str]:
        """The channels of direct messages, the one heard last first."""
        return list(reversed(self._directs))

    @property
    def threads(self) -> list[Thread]:
        """The one heard last first."""
        return list(reversed(self._threads.values()))

    def arrive(self) -> None:
        """Events come now, over one connection more."""
        if not self._loaded or self._was_away(self._clock()):
            self._gap.open()
        self._connections += 1
        self._changed.set()

    def leave(self) -> None:
        """One connection less. While there is none we are away."""
        self._connections -= 1

    def note(self, message: Message) -> None:
        """The bot takes part where `message` stands."""
        if message.direct:
            if message.channel not in self._directs:
                self._changed.set()
            _put_last(self._directs, message.channel, None, _DIRECTS)
        if message.thread:
            self.follow(Thread(message.channel, message.thread, "0" if message.direct else message.ts))

    def follow(self, thread: Thread) -> None:
        """The bot takes part in `thread`. Where it did already, `since` stays what it was."""
        key = (thread.channel, thread.ts)
        if key not in self._threads:
            self._changed.set()
        _put_last(self._threads, key, self._threads.get(key, thread), _THREADS)

    async def missed(self) -> float:
        """Wait until we are back from a long absence; returns since when messages may be missing."""
        await self._returned.wait()
        self._returned.clear()
        assert self._missing_since is not None
        return self._missing_since

    def caught_up(self) -> None:
        """What `missed` told was read. Until then the store keeps since when something is missing."""
        if not self._returned.is_set():
            self._missing_since = None
            self._changed.set()
            self._gap.narrow(())

    async def keep(self) -> None:
        """Read what the store has, and write what changes into it, for ever. A crash then costs a longer reading,
        never a message."""
        try:
            while True:
                self._changed.clear()
                try:
                    await self._write()
                except StoreUnavailable as exc:
                    log.debug("the attendance is not written: %s", exc)
                    self._changed.set()
                await asyncio.sleep(_PAUSE)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_EVERY):
                        await self._changed.wait()
        finally:
            with suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(_LAST_WRITE):
                    await self._write()

    def _was_away(self, now: float) -> bool:
        return self._there is not None and now - self._there > AWAY

    async def _load(self) -> None:
        if (written := await self._inbox.get(self._key)) is not None:
            try:
                record = msgspec.json.decode(written, type=_Record)
            except msgspec.DecodeError:
                log.warning("when the bot was last there cannot be read; it begins anew")
            else:
                self._there = record.there
                # Not in their place: while the store was away there may have been news.
                self._directs |= dict.fromkeys(record.directs)
                self._threads |= {(thread.channel, thread.ts): thread for thread in record.threads}
        self._loaded = True

    async def _write(self) -> None:
        if not self._loaded:
            await self._load()
        there = self._clock() if self._connections else self._there
        if there is None:
            return
        before = there if self._there is None else self._there
        # A machine that slept has been away too, with its connections open. So has who could not write: what came
        # could not be taken either.
        returned = self._was_away(there)
        since = before - _OVERLAP if returned and self._missing_since is None else self._missing_since
        record = _Record(there if since is None else since, list(self._directs), list(self._threads.values()))
        await self._inbox.set(self._key, msgspec.json.encode(record), expires=_KEPT)
        self._there = there
        if returned:
            self._gap.open()
            log.info("not there for %.0f s: what was said meanwhile is read", there - before)
            self._missing_since = since
            self._returned.set()
        elif self._missing_since is None and not self._was_away(self._clock()):
            self._gap.narrow(())


def _put_last(known: dict[_K, _V], key: _K, value: _V, most: int) -> None:
    known.pop(key, None)
    known[key] = value
    while len(known) > most:
        del known[next(iter(known))]
