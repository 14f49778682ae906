"""How often a bot may speak, in a room and altogether. Knows no reply and no platform: it says who is next.

All times are the event loop's. Two classes wait: what is urgent (a reply's first message, and everything of a
final text) and drafts. Whatever is urgent goes first, and drafts leave a quarter of each window free for it.
Within a class the one who has waited longest goes first, among those whose room may speak.
"""

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.turns import Fleet


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` calls in any `per_seconds` seconds."""

    count: int
    per_seconds: float

    def shared(self, workers: int) -> "Rate":
        """One worker's share of it, when `workers` have this rate together."""
        if workers <= self.count:
            return Rate(self.count // workers, self.per_seconds)
        return Rate(1, self.per_seconds * workers / self.count)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a bot may speak: all windows in `room` hold for each room, all in `bot` for its rooms together.

    `draft_interval` is the least number of seconds between any call in a room and the draft after it.
    """

    room: tuple[Rate, ...]
    bot: tuple[Rate, ...]
    draft_interval: float


class _Window:
    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._calls: deque[float] = deque(maxlen=rate.count)

    def free_at(self, *, urgent: bool, workers: int = 1) -> float:
        rate = self._rate.shared(workers)
        count = rate.count if urgent else rate.count - rate.count // 4
        return self._calls[-count] + rate.per_seconds if len(self._calls) >= count else -math.inf

    def quiet_at(self) -> float:
        return self._calls[-1] + self._rate.per_seconds if self._calls else -math.inf

    def take(self, now: float) -> None:
        self._calls.append(now)


class RoomBudget:
    """One room's budget. Made by `Budget.room`."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.windows = [_Window(rate) for rate in pace.room]
        self.last = -math.inf
        self.paused_until = -math.inf
        self.users = 0

    def free_at(self, *, urgent: bool) -> float:
        free = max((window.free_at(urgent=urgent) for window in self.windows), default=-math.inf)
        drafts = -math.inf if urgent else self.last + self.pace.draft_interval
        return max(free, drafts, self.paused_until)

    def take(self, now: float) -> None:
        self.last = now
        for window in self.windows:
            window.take(now)

    def is_idle(self, now: float) -> bool:
        """Nobody uses it, and to forget it would permit nothing that it forbids."""
        quiet = max((window.quiet_at() for window in self.windows), default=-math.inf)
        return not self.users and max(quiet, self.paused_until, self.last + self.pace.draft_interval) <= now


@dataclass(eq=False, slots=True)
class _Waiter:
    room: RoomBudget
    urgent: Callable[[], bool]
    granted: asyncio.Future[None]


class Budget:
    """One bot's budget, of which `fleet.workers` processes have a share each, and that of each of its rooms."""

    def __init__(self, bot: str, rates: tuple[Rate, ...], fleet: Fleet) -> None:
        self._bot = bot
        self._fleet = fleet
        self._windows = [_Window(rate) for rate in rates]
        self._rooms: OrderedDict[str, RoomBudget] = OrderedDict()
        self._waiting: list[_Waiter] = []
        self._timer: asyncio.TimerHandle | None = None
        self._paused_until = -math.inf

    @property
    def rooms(self) -> int:
        """How many rooms are remembered: those in use, and those that have just been."""
        return len(self._rooms)

    @contextmanager
    def room(self, name: str, pace: Pace) -> Iterator[RoomBudget]:
        """The budget of a room, for as long as somebody delivers to it. Idle ones are forgotten here."""
        now = asyncio.get_running_loop().time()
        while self._rooms and next(iter(self._rooms.values())).is_idle(now):
            self._rooms.popitem(last=False)
        room = self._rooms.get(name)
        if room is None or room.pace != pace:
            room = self._rooms[name] = RoomBudget(pace)
        room.users += 1
        try:
            yield room
        finally:
            room.users -= 1
            if self._rooms.get(name) is room:
                self._rooms.move_to_end(name)

    async def take(self, room: RoomBudget, *, urgent: Callable[[], bool]) -> None:
        """Wait for one call's worth. `urgent` is asked again whenever somebody may go, and after `review`."""
        waiter = _Waiter(room, urgent, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            self.review()
            await waiter.granted
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                self.review()

    def pause(self, room: RoomBudget, seconds: float) -> None:
        """No call in this room for so long."""
        room.paused_until = max(room.paused_until, asyncio.get_running_loop().time() + seconds)

    async def pause_everywhere(self, seconds: float) -> None:
        """No call of this bot for so long, by any worker. This one pauses also if the fleet raises."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)
        await self._fleet.pause(self._bot, seconds)

    def review(self) -> None:
        """Let go who may go now, and look again when the next one may."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now, soonest = loop.time(), math.inf
        # Sorting is stable, so that within a class the order of arrival remains.
        for urgent, waiter in sorted(((w.urgent(), w) for w in self._waiting), key=lambda pair: not pair[0]):
            free = max(self._free_at(urgent=urgent), waiter.room.free_at(urgent=urgent))
            if free > now:
                soonest = min(soonest, free)
                continue
            self._waiting.remove(waiter)
            waiter.room.take(now)
            for window in self._windows:
                window.take(now)
            if not waiter.granted.done():
                waiter.granted.set_result(None)
        if soonest < math.inf:
            self._timer = loop.call_at(soonest, self.review)

    def _free_at(self, *, urgent: bool) -> float:
        workers = max(1, self._fleet.workers)
        free = (window.free_at(urgent=urgent, workers=workers) for window in self._windows)
        return max(self._paused_until, self._fleet.paused_until(self._bot), *free)
