"""Which channels have missed messages that are still to be read: what is heard there now comes after those.

A new session tells at once what is said from then on. What was said before it is read by REST, a channel at a
time.
"""

import asyncio
import logging
from collections.abc import Iterable

log = logging.getLogger(__name__)

_AT_MOST = 60.0
"""Seconds that a message waits for those before it. After that it is better answered out of turn than never."""


class Gap:
    """What was missed. Closed when nothing was."""

    def __init__(self) -> None:
        self._unread: set[str] | None = set()
        self._changed = asyncio.Event()

    def open(self) -> None:
        """Something may be missing, and nobody knows where yet."""
        self._unread = None

    def narrow(self, channels: Iterable[str]) -> None:
        """It is missing in these channels, if anywhere."""
        self._unread = set(channels)
        self._tell()

    def was_read(self, channel: str) -> None:
        """Nothing is missing there any more, or nothing that can be read."""
        if self._unread is not None:
            self._unread.discard(channel)
        self._tell()

    async def passed(self, channel: str) -> None:
        """Wait until what was missed in the channel has been read, for a bounded time."""
        try:
            async with asyncio.timeout(_AT_MOST):
                while self._unread is None or channel in self._unread:
                    await self._changed.wait()
        except TimeoutError:
            log.warning("what was missed in channel %s is not read yet; new messages do not wait for it", channel)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
