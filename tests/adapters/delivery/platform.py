"""A scripted platform, and a reply that is written while the test says so.

What is tested with them runs in virtual time: no test waits, and each sees every second.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from adapters.delivery import File, Limited, MessageGone, Pace, Planner, Rate, Unattached, Unavailable
from core.errors import StoreUnavailable
from core.turns import Control, Draft, Part
from tests.adapters.delivery.virtual_time import now

FREE = Pace(room=(), bot=(), draft_interval=0.0)
CHAT = Pace(room=(Rate(1, 1.0),), bot=(Rate(30, 1.0),), draft_interval=1.0)
GROUP = Pace(room=(Rate(1, 1.0), Rate(20, 60.0)), bot=(Rate(30, 1.0),), draft_interval=1.0)


class Together:
    """The fleet's bulletin board. `workers` processes share a bot."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.broken = False
        self._until: dict[str, float] = {}

    async def pause(self, bot: str, seconds: float) -> None:
        if self.broken:
            raise StoreUnavailable
        self._until[bot] = now() + seconds

    def paused_until(self, bot: str) -> float:
        return self._until.get(bot, 0.0)


class Platform:
    """All rooms of a platform. It counts calls against its limits, and answers as it is told.

    `answers` are taken one for each call: an exception to raise, with `after` also when the work was done.
    """

    def __init__(self, *limits: Rate, call_time: float = 0.0) -> None:
        self.limits = limits
        self.call_time = call_time
        self.calls: list[tuple[float, str, str, str]] = []
        self.answers: list[Exception | None] = []
        self.after: list[Exception | None] = []
        self.refused = 0

    def times(self, *kinds: str) -> list[float]:
        return [at for at, _, kind, _ in self.calls if kind in (kinds or ("send", "edit"))]

    async def called(self, room: "Room", kind: str, source: str) -> None:
        self.calls.append((now(), room.name, kind, source))
        assert room.size(source) <= room.limit
        assert source.strip()
        await asyncio.sleep(self.call_time)
        for rate in self.limits:
            if (
                len([at for at in self.times("send", "edit", "find") if at > now() - rate.per_seconds])
                > rate.count
            ):
                self.refused += 1
                raise Limited(1.0, everywhere=True)
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer

    def answered(self) -> None:
        if self.after and (answer := self.after.pop(0)) is not None:
            raise answer


class Room:
    """One room: the channel that the planner is given, and what stands there."""

    def __init__(self, platform: Platform, name: str = "room", *, limit: int = 100, finds: bool = False) -> None:
        self.platform = platform
        self.name = name
        self.limit = limit
        self.finds = finds
        self.streams = False
        self.takes_files = True
        self.files: dict[str, File] = {}
        self.messages: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.told: list[str] = []
        self.typed: list[tuple[float, float]] = []
        self.changed = asyncio.Event()
        self.needless = 0  # edits that changed nothing

    @property
    def texts(self) -> list[str]:
        return list(self.messages.values())

    def size(self, source: str) -> int:
        return len(source)

    async def send(self, source: str, *, key: str, controls: Sequence[Control] = (), grows: bool = False) -> str:
        await self.platform.called(self, "send", source)
        message = f"{self.name}-{len(self.messages)}"
        self.messages[message] = source
        self.keys[key] = message
        self.changed.set()
        self.platform.answered()
        return message

    async def edit(
        self,
        message: str,
        source: str,
        *,
        controls: Sequence[Control] = (),
        grows: bool = False,
        file: File | None = None,
    ) -> None:
        await self.platform.called(self, "edit", source)
        if file is not None and not self.takes_files:
            raise Unattached
        if message not in self.messages:
            raise MessageGone
        self.needless += self.messages[message] == source and file is None
        self.messages[message] = source
        if file is not None:
            self.files[message] = file
        self.changed.set()
        self.platform.answered()

    async def tell(self, source: str) -> None:
        self.told.append(source)

    async def find(self, key: str, source: str) -> str | None:
        await self.platform.called(self, "find", source)
        return self.keys.get(key) if self.finds else None

    @asynccontextmanager
    async def typing(self) -> AsyncIterator[None]:
        began = now()
        try:
            yield
        finally:
            self.typed.append((began, now()))

    async def until(self, predicate: Callable[[list[str]], bool]) -> None:
        while not predicate(self.texts):
            self.changed.clear()
            await self.changed.wait()


class WrittenReply:
    """A reply that is written while the test says so, and the durable record of what was shown."""

    def __init__(self, *, parts: Sequence[Part] = (), lease: float = 8.0) -> None:
        self.parts = list(parts)
        self.replaces: Sequence[str] = ()
        self.lease = lease
        self.log: list[tuple[str, int, str, bool]] = []
        self.error: Exception | None = None
        self.written = Draft("")
        self.taken: list[str] = []
        self._news = asyncio.Event()

    def write(self, text: str, *, final: bool = False, filed: str = "") -> None:
        self.written = Draft(text, final, filed=filed)
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Draft]:
        final = False
        while not final:
            await self._news.wait()
            self._news.clear()
            final = self.written.final
            self.taken.append(self.written.text)
            yield self.written

    def key(self, part: int) -> str:
        return f"key{part}"

    async def showing(self, part: int, text: str, end: int, *, final: bool = False) -> float:
        if self.error is not None:
            raise self.error
        self.log.append(("showing", part, text, final))
        message = self.parts[part].message if part < len(self.parts) else None
        self.parts[part : part + 1] = [Part(text, end, message)]
        return now() + self.lease

    async def shown(self, part: int, message: str) -> None:
        if self.error is not None:
            raise self.error
        self.log.append(("shown", part, message, False))
        self.parts[part] = Part(self.parts[part].text, self.parts[part].end, message)

    def stop(self) -> None:
        raise AssertionError("the planner stops nothing")


def planner(pace: Pace = FREE, fleet: Together | None = None, **options: object) -> Planner:
    settings = {"jitter": lambda: 1.0, "moment": 0.0, **options}
    return Planner("bot", pace, fleet or Together(), **settings)  # type: ignore[arg-type]


async def write_slowly(reply: WrittenReply, text: str, *, every: float = 0.1) -> None:
    """A word at a time, and the last one as the final text."""
    words = text.split(" ")
    for count in range(1, len(words)):
        reply.write(" ".join(words[:count]))
        await asyncio.sleep(every)
    reply.write(text, final=True)


def doubtful(in_doubt: bool) -> Unavailable:
    return Unavailable(in_doubt=in_doubt)
