"""How far the bot has read, kept in the store: what was said while it was away can then be read later.

Discord's ids grow with time, so the newest id says it for all channels. Direct messages are in no list that
Discord gives a bot, so their channels are remembered here.
"""

import asyncio
import logging
from datetime import timedelta

import discord  # noqa: TID251
import msgspec

from adapters.discord.shards import Shard
from core.errors import StoreUnavailable
from core.turns import Inbox

log = logging.getLogger(__name__)

_KEPT = timedelta(days=30)
_EVERY = 10.0
_OVERLAP = timedelta(minutes=2)  # messages are accepted side by side: an older one than the newest may be missing
_DIRECTS = 2000
"""Channels of direct messages that are remembered. A new one costs a durable write before its message is taken."""


class _Record(msgspec.Struct, frozen=True):
    """`newest` is what all shards have seen, and `shards` what each has, where there are several."""

    newest: int
    directs: list[str]
    shards: dict[str, int] = {}


class Sight:
    """What one shard of the bot has seen."""

    def __init__(self, seen: "Seen", newest: int, first: int) -> None:
        self._seen = seen
        self._newest = newest
        self._first = first
        self._floor: int | None = None

    @property
    def up_to(self) -> int:
        """The id up to which nothing is missing."""
        return self._newest if self._floor is None else self._floor

    def note(self, channel: str, message: int, *, direct: bool) -> None:
        """A message was seen."""
        self._newest = max(self._newest, message)
        self._seen.note(channel if direct else None)

    def begin_gap(self) -> int:
        """Messages after the returned id may be missing. Until `end_gap`, the store keeps that id."""
        if self._floor is None:
            newest = discord.utils.snowflake_time(self._newest) - _OVERLAP
            self._floor = max(self._first, discord.utils.time_snowflake(newest))
        return self._floor

    def end_gap(self) -> None:
        self._floor = None
        self._seen.note(None)


class Seen:
    """What the bot `me` has seen. What was said before it first listened is not missing."""

    def __init__(self, inbox: Inbox, me: str) -> None:
        self._inbox = inbox
        self._key = f"discord/{me}/seen"
        self._written: bytes | None = None
        self._kept: frozenset[str] = frozenset()  # the channels in what was written last
        self._saving = asyncio.Lock()
        self._directs: dict[str, None] = {}
        self._changed = asyncio.Event()
        self._first = discord.utils.time_snowflake(discord.utils.utcnow())
        self._record = _Record(self._first, [])
        self._sights: dict[Shard, Sight] = {}

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
        self._record, self._first = record, 0
        self._directs = dict.fromkeys(record.directs)
        self._kept = frozenset(record.directs)

    def by(self, shard: Shard) -> Sight:
        """What that shard has seen. Where there was another number of them before: what all have."""
        if shard not in self._sights:
            newest = self._record.shards.get(str(shard), self._record.newest)
            self._sights[shard] = Sight(self, newest, self._first)
        return self._sights[shard]

    def note(self, direct: str | None) -> None:
        """Something has changed: a message was seen, perhaps in the channel `direct`."""
        self._changed.set()
        if direct is not None:
            self._directs.pop(direct, None)
            self._directs[direct] = None
            while len(self._directs) > _DIRECTS:
                del self._directs[next(iter(self._directs))]

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
            shards = {str(shard): sight.up_to for shard, sight in self._sights.items()}
            newest, directs = min(shards.values(), default=self._record.newest), list(self._directs)
            record = msgspec.json.encode(_Record(newest, directs, shards if len(shards) > 1 else {}))
            if record != self._written:
                await self._inbox.set(self._key, record, expires=_KEPT)
                self._written, self._kept = record, frozenset(directs)
