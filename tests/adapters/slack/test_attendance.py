"""When the bot was there and where it takes part, and the pace at which it reads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from adapters.delivery import Rate
from adapters.gap import Gap
from adapters.slack.attendance import AWAY, Attendance, Thread
from adapters.slack.events import Message
from adapters.slack.tier import Tier
from core.store.store import Store

KEY = "slack/T-U/attendance"


@dataclass
class Clock:
    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def kept(attendance: Attendance) -> AsyncIterator[Attendance]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(attendance.keep())
        try:
            yield attendance
        finally:
            task.cancel()


async def written(store: Store) -> dict[str, object]:
    """What the store has, once it has something that can be read."""
    async with asyncio.timeout(20):
        while True:
            found = await store.inbox.get(KEY)
            if found is not None and "directs" in (record := msgspec.json.decode(found)):
                return dict(record)
            await asyncio.sleep(0.01)


async def gone_and_back(store: Store, clock: Clock, seconds: float) -> Attendance:
    """A later process's attendance, after the first one's has ended."""
    async with kept(Attendance(store.inbox, "T-U", clock, Gap(1.0))) as first:
        first.arrive()
        await written(store)
    clock.now += seconds
    return Attendance(store.inbox, "T-U", clock, Gap(1.0))


def direct(number: int, thread: str | None = None) -> Message:
    return Message("message", f"D{number}", "1.0", thread_ts=thread)


async def test_what_was_missed_begins_a_little_before_the_bot_went(store: Store) -> None:
    clock = Clock()
    async with kept(await gone_and_back(store, clock, AWAY + 1)) as later:
        later.arrive()
        since = await later.missed()
    assert clock.now - AWAY - 1 - 61 < since < clock.now - AWAY - 1


async def test_absence_that_was_not_read_to_its_end_is_kept(store: Store) -> None:
    clock = Clock()
    async with kept(await gone_and_back(store, clock, AWAY + 1)) as interrupted:
        interrupted.arrive()
        since = await interrupted.missed()
    assert (await written(store))["there"] == since
    async with kept(Attendance(store.inbox, "T-U", clock, Gap(1.0))) as later:
        later.arrive()
        assert await later.missed() <= since


async def test_absence_that_was_read_is_over(store: Store) -> None:
    clock = Clock()
    async with kept(await gone_and_back(store, clock, AWAY + 1)) as later:
        later.arrive()
        await later.missed()
        later.caught_up()
    assert (await written(store))["there"] == clock.now


async def test_rooms_are_bounded_and_those_heard_last_come_first(store: Store) -> None:
    attendance = Attendance(store.inbox, "T-U", Clock(), Gap(1.0))
    for number in range(150):
        attendance.note(direct(number, thread="0.5"))
    attendance.note(direct(100))
    assert attendance.directs[:3] == ["D100", "D149", "D148"]
    assert len(attendance.directs) == len(attendance.threads) == 100


async def test_thread_is_for_the_bot_since_it_was_first_called_there(store: Store) -> None:
    attendance = Attendance(store.inbox, "T-U", Clock(), Gap(1.0))
    for ts in ("2.0", "3.0"):
        attendance.note(Message("message", "C1", ts, thread_ts="1.0"))
    assert attendance.threads == [Thread("C1", "1.0", "2.0")]


async def test_record_that_cannot_be_read_begins_anew(store: Store) -> None:
    clock = Clock()
    await store.inbox.set(KEY, b'{"there": "never"}', expires=timedelta(days=1))
    async with kept(Attendance(store.inbox, "T-U", clock, Gap(1.0))) as attendance:
        attendance.arrive()
        attendance.note(direct(1))
        await written(store)
    assert await written(store) == {"there": clock.now, "directs": ["D1"], "threads": []}


def test_calls_over_the_rate_wait_until_the_first_is_old() -> None:
    tier = Tier(Rate(2, 60.0))
    assert [tier.take(now) for now in (0.0, 10.0, 10.0, 10.0)] == [0.0, 0.0, 50.0, 60.0]
    assert tier.take(300.0) == 0.0
