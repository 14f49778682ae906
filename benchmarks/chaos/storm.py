"""One bot through one plan: start it, let happen what is planned, repair everything, and wait for the rest."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.plan import (
    STORE,
    Action,
    Break,
    Cut,
    Kill,
    Outage,
    Plan,
    Platform,
    Redeliver,
    Say,
)
from benchmarks.chaos.platforms import Town
from benchmarks.chaos.processes import Running, Start, StoreFolder
from benchmarks.chaos.verdict import Verdict, total
from tests.fakes.telegram import Sent

Programs = Callable[[Town, str, str], Mapping[str, Start]]
"""A bot's processes, by the names of the plan, from the platforms, the store's URL and a folder."""

ROOT = Path(__file__).parents[2]

_LISTENS_WITHIN = 60.0
_LOOK_EVERY = 1.0
UNCHANGED = 20.0
"""Seconds: longer than a lease and its discovery. Who would still answer, or answer again, has done so."""

_GIVEN_UP = 3
"""Who has not answered for so many times as long does not answer any more: no wait between two tries is longer."""

_RECORDED_WITHIN = 1.0
"""How long after a send its record is on disk at the latest, while the store is there."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `calm` is how many seconds after the storm the verdict changed for the last time. `cut` and
    `killed` are the sends on Telegram that nobody can have known of; `repairs` are starts of processes that had
    ended without being killed."""

    bot: str
    verdicts: Mapping[Platform, Verdict]
    seconds: float
    calm: float
    kills: int
    store_kills: int
    faults: int
    cut: int
    killed: int
    repairs: int

    @property
    def verdict(self) -> Verdict:
        return total(self.verdicts.values())


async def endure(
    bot: str, programs: Programs, plan: Plan, folder: Path, *, patience: float, unchanged: float = UNCHANGED
) -> Outcome:
    """The outcome for one bot. The rest must be answered within `patience` seconds after the storm; what stands
    then for `unchanged` seconds is the end. `folder` keeps what the processes print, and what stands in each room
    where something went wrong."""
    async with AsyncExitStack() as stack:
        town = await stack.enter_async_context(Town(list(dict.fromkeys(say.room for say in plan.said))))
        store = stack.enter_context(StoreFolder())
        starts = {STORE: store.program, **programs(town, store.url, str(folder))}
        running = Running(starts, folder, {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "200"})
        stack.push_async_callback(running.end)
        await running.start(STORE)
        await store.until_it_accepts()
        for name in starts:
            if name != STORE:
                await running.start(name)
        for side in town.sides.values():
            await side.until_listened_to(_LISTENS_WITHIN)
        storm = _Storm(plan, town, running)
        began = time.monotonic()
        await storm.rage()
        for side in town.sides.values():
            side.mend()
        await running.revive()
        ended = time.monotonic()
        calm = await storm.until_answered(patience, unchanged)
        (folder / "wrong.json").write_text(json.dumps(town.wrong(storm.was_killed), indent=1))
        return Outcome(
            bot,
            storm.verdicts(),
            ended - began,
            calm,
            sum(not death.name.startswith(STORE) for death in running.deaths),
            sum(death.name.startswith(STORE) for death in running.deaths),
            storm.faults,
            sum(sent.cut for sent in town.telegram.fake.sent.values()),
            sum(storm.was_killed(sent) for sent in town.telegram.fake.sent.values()),
            len(running.fallen),
        )


class _Storm:
    def __init__(self, plan: Plan, town: Town, running: Running) -> None:
        self.faults = 0
        self._plan = plan
        self._town = town
        self._running = running

    async def rage(self) -> None:
        """All that is planned, each at its time; ends when all that was killed is up again."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for at, action in self._plan.actions:
                await asyncio.sleep(began + at - loop.time())
                match action:
                    case Kill(target, down):
                        group.create_task(self._running.kill(target, down))
                    case Outage(platform, seconds):
                        group.create_task(self._break_down(platform, seconds))
                    case _:
                        await self._do(action)
            await asyncio.sleep(began + self._plan.size.seconds - loop.time())

    async def until_answered(self, patience: float, unchanged: float) -> float:
        """Wait until every message is answered and nothing changes for `unchanged` seconds, or for longer if some
        are not; at most `patience` seconds. Returns after how many of them the last change was."""
        began = changed = time.monotonic()
        before: Mapping[Platform, Verdict] = {}
        while True:
            now, verdicts = time.monotonic(), self.verdicts()
            if verdicts != before:
                before, changed = verdicts, now
            settled, quiet = total(verdicts.values()).is_settled, now - changed
            if quiet > (unchanged if settled else _GIVEN_UP * unchanged) or now - began > patience + unchanged:
                return changed - began
            await asyncio.sleep(_LOOK_EVERY)

    def verdicts(self) -> dict[Platform, Verdict]:
        return {platform: self._town.judged(platform, self.was_killed) for platform in self._town.sides}

    def was_killed(self, sent: Sent) -> bool:
        """Whether the sender was killed after the platform had posted a message, and before it can have recorded
        that: while the store is away, nothing is recorded."""
        known = sent.at + _RECORDED_WITHIN
        for death in self._running.deaths:
            if death.name.startswith(STORE) and death.at < known and death.back > sent.at:
                known = death.back + _RECORDED_WITHIN
        return any(death.name == sent.caller and sent.at <= death.at < known for death in self._running.deaths)

    async def _do(self, action: Action) -> None:
        match action:
            case Say(room=room):
                await self._town.sides[room.platform].say(action)
            case Redeliver(number):
                platform = self._plan.said[number].room.platform
                await self._town.sides[platform].redeliver(number)
                self.faults += 1
            case Break(platform, call, fault, after):
                self.faults += self._town.sides[platform].fail(call, fault, after)
            case Cut(platform):
                self._town.sides[platform].cut()
                self.faults += 1

    async def _break_down(self, platform: Platform, seconds: float) -> None:
        self.faults += 1
        self._town.sides[platform].break_down()
        await asyncio.sleep(seconds)
        self._town.sides[platform].mend()
