"""What was seen of all processes of the installation. Who watches costs them nothing: they show themselves anyway,
and one look is made for however many pages are open.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from bots.http.admin.point import Point, Seen, point
from bots.instruments.sight import Sight
from bots.presence import EVERY
from core.errors import AWAY
from core.store.aside import Aside
from core.store.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

_GONE_AFTER = 3.5  # looks without a sight of it
_WINDOW = 5  # looks that one point is made of; and so far points lie apart
_MOST_POINTS = 360
_AGAIN_SECONDS = 1.0
_ASK_SECONDS = 1.0
_AWAY = (*AWAY, TimeoutError)


class State(msgspec.Struct, frozen=True):
    """All that a page shows now. `held` platforms are paused, and `aside` messages were set aside; `None`: the
    store does not say. `kept`: the point is one of the history, too."""

    at: float
    processes: Sequence[Sight]
    held: Sequence[str]
    aside: int | None
    point: Point | None
    kept: bool


class Overview:
    """That of one process, which looks every `every` seconds while `run` runs."""

    def __init__(self, store: Store, *, every: float = EVERY) -> None:
        self.history: deque[Point] = deque(maxlen=_MOST_POINTS)
        self.watchers = 0
        self._store = store
        self._aside = Aside(store.client, store.inbox)
        self._every = every
        self._seen: dict[str, tuple[float, Sight]] = {}
        self._looks: deque[tuple[float, Seen]] = deque(maxlen=_WINDOW + 1)
        self._number = 0  # of the next look
        self._states = 0
        self._state: State | None = None
        self._news = asyncio.Condition()
        self._over = False

    async def run(self) -> None:
        """Until cancelled, which lets go whoever waits for what is `next`. A store that is away is waited for."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(), name="sights")
                group.create_task(self._look_for_ever(), name="looks")
        finally:
            self._over = True
            async with self._news:
                self._news.notify_all()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Somebody waits for what is `next`."""
        self.watchers += 1
        try:
            yield
        finally:
            self.watchers -= 1

    async def next(self) -> State | None:
        """The state at the next look. `None`: there is none any more."""
        async with self._news:
            states = self._states
            await self._news.wait_for(lambda: self._over or self._states > states)
            return None if self._over else self._state

    @property
    def sights(self) -> Sequence[Sight]:
        """Those of the processes that are there."""
        return [sight for _, sight in self._seen.values()]

    async def _listen(self) -> None:
        while True:
            try:
                async with self._store.announcements.listening("sights", self._see):
                    await asyncio.Event().wait()
            except _AWAY as exc:
                log.debug("other processes are not seen: %s", exc)
                await asyncio.sleep(_AGAIN_SECONDS)

    def _see(self, message: bytes) -> None:
        sight = msgspec.json.decode(message, type=Sight)
        self._seen[sight.id] = time.monotonic(), sight

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self._look()

    async def _look(self) -> None:
        now = time.monotonic()
        for name, (seen, _) in list(self._seen.items()):
            if now - seen > _GONE_AFTER * self._every:
                del self._seen[name]
        self._looks.append((now, {sight.id: sight for sight in self.sights}))
        (then, before), (_, after) = self._looks[0], self._looks[-1]
        newest = point(time.time(), now - then, before, after) if now > then else None
        kept = newest is not None and self._number % _WINDOW == 0
        if newest is not None and kept:
            self.history.append(newest)
        self._number += 1
        if not self.watchers:
            return
        state = await self._told(newest, kept=kept)
        async with self._news:
            self._state = state
            self._states += 1
            self._news.notify_all()

    async def _told(self, newest: Point | None, *, kept: bool) -> State:
        fleet = self._store.fleet
        await _asked(fleet.others)  # which looks what is held
        return State(
            at=time.time(),
            processes=sorted(self.sights, key=lambda sight: sight.started),
            held=sorted(fleet.held),
            aside=await _asked(self._aside.count),
            point=newest,
            kept=kept,
        )


async def _asked(ask: Callable[[], Awaitable[T]]) -> T | None:
    """`None` where the store does not answer soon."""
    try:
        async with asyncio.timeout(_ASK_SECONDS):
            return await ask()
    except _AWAY:
        return None
