"""How far the bot has read, kept in the store: what was said while it was away can then be read later.

Discord's ids grow with time, so the newest id says it for all channels. Direct messages are in no list that
Discord gives a bot, so their channels are remembered here.
"""

import asyncio
import logging
from datetime import timedelta

import discord  # noqa: TID251
import msgspec

from core.errors import StoreUnavailable
from core.turns import Inbox

log = logging.getLogger(__name__)

_KEPT = timedelta(days=30)
_EVERY = 10.0
_OVERLAP = timedelta(minutes=2)  # messages are accepted side by side: an older one than the newest may be missing
_DIRECTS = 2000
"""Channels of direct messages that are remembered. A new one costs a durable write before its message is taken."""


class _Record(msgspec.Struct, frozen=True):
    newest: int
    directs: list[str]


class Seen:
    """What the bot `me` has seen. What was said before it first listened is not missing."""

    def __init__(self, inbox: Inbox, me: str) -> None:
        self._inbox = inbox
        self._key = f"discord/{me}/seen"
        self._written: bytes | None = None
        self._kept: frozenset[str] = frozenset()  # the channels in what was written last
        self._saving = asyncio.Lock()
        self._directs: dict[str, None] = {}
        self._floor: int | None = None
        self._changed = asyncio.Event()
        self._newest = self._first = discord.utils.time_snowflake(discord.utils.utcnow())

    @property
    def directs(self) -> list[str]:
        """The channels of direct messages, the one heard last first."""
        return list(reversed(self._directs))

    @property
    def is_new(self) -> bool:
        """Whether the bot has never listened before."""
        return self._first > 0

    async def load(self) -> None:
        """Raises `StoreUnavailable`."""
        self._changed.set()  # from now on something may be missed: that is written at once
        if (written := await self._inbox.get(self._key)) is None:
            return
        try:
            record = msgspec.json.decode(written, type=_Record)
        except msgspec.DecodeError:
            log.warning("what was seen before cannot be read; it begins anew")
            return
        self._newest, self._first = record.newest, 0
        self._directs = dict.fromkeys(record.directs)
        self._kept = frozenset(record.directs)

    def note(self, channel: str, message: int, *, direct: bool) -> None:
        """A message was seen."""
        self._changed.set()
        self._newest = max(self._newest, message)
        if direct:
            self._directs.pop(channel, None)
            self._directs[channel] = None
            while len(self._directs) > _DIRECTS:
                del self._directs[next(iter(self._directs))]

    def begin_gap(self) -> int:
        """Messages after the returned id may be missing. Until `end_gap`, the store keeps that id."""
        if self._floor is None:
            newest = discord.utils.snowflake_time(self._newest) - _OVERLAP
            self._floor = max(self._first, discord.utils.time_snowflake(newest))
        return self._floor

    def end_gap(self) -> None:
        self._floor = None
        self._changed.set()

    async def keep(self) -> None:
        """Write what changes into the store, for ever. A crash then costs a longer reading, never a message."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.save()
            except StoreUnavailable as exc:
                self._changed.set()
                log.debug("what was seen is not written: %s", exc)
            await asyncio.sleep(_EVERY)

    async def remember(self, channel: str) -> None:
        """Return when the store has this channel of direct messages. Raises `StoreUnavailable`."""
        if channel not in self._kept:
            await self.save()

    async def save(self) -> None:
        """Raises `StoreUnavailable`."""
        async with self._saving:
            newest, directs = self._newest if self._floor is None else self._floor, list(self._directs)
            record = msgspec.json.encode(_Record(newest, directs))
            if record != self._written:
                await self._inbox.set(self._key, record, expires=_KEPT)
                self._written, self._kept = record, frozenset(directs)
