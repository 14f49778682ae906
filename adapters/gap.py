"""Where messages were missed that are still to be read: what is heard there now comes after those.

What a connection tells is what is said from then on. What was said before it is read by other calls, a place (a
channel, a thread) at a time.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable

log = logging.getLogger(__name__)


class Gap:
    """What was missed. Closed when nothing was. `at_most` is for how many seconds a message waits for those before
    it: after that it is better answered out of turn than never."""

    def __init__(self, at_most: float) -> None:
        self._at_most = at_most
        self._unread: set[str] | None = set()
        self._waiting: Counter[str] = Counter()
        self._changed = asyncio.Event()

    def open(self) -> None:
        """Something may be missing, and nobody knows where yet."""
        self._unread = None

    def narrow(self, places: Iterable[str]) -> None:
        """It is missing in these places, if anywhere."""
        self._unread = set(places)
        self._tell()

    def was_read(self, place: str) -> None:
        """Nothing is missing there any more, or nothing that can be read."""
        if self._unread is not None:
            self._unread.discard(place)
        self._tell()

    def is_waited_for(self, place: str) -> bool:
        """Whether a message waits until the place is read."""
        return self._waiting[place] > 0

    async def passed(self, place: str) -> None:
        """Wait until what was missed in the place has been read, for a bounded time."""
        if self._unread is not None and place not in self._unread:
            return
        self._waiting[place] += 1
        try:
            async with asyncio.timeout(self._at_most):
                while self._unread is None or place in self._unread:
                    await self._changed.wait()
        except TimeoutError:
            log.warning("what was missed in %s is not read yet; new messages do not wait for it", place)
        finally:
            self._waiting[place] -= 1
            if not self._waiting[place]:
                del self._waiting[place]

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
