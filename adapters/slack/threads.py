"""Which threads the bot is part of: those in which it was mentioned once, for then it has spoken there."""

import time
from collections import OrderedDict
from datetime import timedelta

from core.turns import Inbox

# Counted from the last message that the bot took in the thread, to the day.
_KEPT = timedelta(days=90)
_RENEWED = 24 * 3600.0  # seconds
_REMEMBERED = 5000  # threads per process


class Threads:
    """The marks of one bot's threads, kept in the store: any process and any later one knows them."""

    def __init__(self, inbox: Inbox, bot: str) -> None:
        self._inbox = inbox
        self._bot = bot
        self._joined: OrderedDict[str, float] = OrderedDict()  # until when nothing need be written

    async def join(self, channel: str, thread: str) -> None:
        """The bot takes part from now on. Raises `StoreUnavailable`."""
        key = self._key(channel, thread)
        if self._joined.get(key, 0.0) <= time.monotonic():
            await self._inbox.set(key, b"1", expires=_KEPT)
            self._remember(key, time.monotonic() + _RENEWED)

    async def joined(self, channel: str, thread: str) -> bool:
        """Whether the bot takes part. Raises `StoreUnavailable`."""
        key = self._key(channel, thread)
        if key in self._joined:
            return True
        if await self._inbox.get(key) is None:
            return False
        self._remember(key, 0.0)
        return True

    def _remember(self, key: str, until: float) -> None:
        self._joined[key] = until
        self._joined.move_to_end(key)
        if len(self._joined) > _REMEMBERED:
            self._joined.popitem(last=False)

    def _key(self, channel: str, thread: str) -> str:
        return f"slack/{self._bot}/thread/{channel}/{thread}"
