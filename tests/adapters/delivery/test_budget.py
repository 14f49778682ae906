"""How often a bot speaks, in a room and altogether, and who goes first."""

import asyncio
import logging

import pytest

from adapters.delivery import Limited, Pace, Rate
from tests.adapters.delivery.platform import (
    CHAT,
    FREE,
    GROUP,
    Platform,
    Room,
    Together,
    WrittenReply,
    planner,
    write_slowly,
)
from tests.adapters.delivery.virtual_time import in_virtual_time, now


@in_virtual_time
async def test_a_room_keeps_all_its_windows(long_text: str) -> None:
    platform = Platform(Rate(1, 1.0), Rate(20, 60.0))
    room, reply = Room(platform, limit=40), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner(GROUP).show(reply, room, room="r"))
        group.create_task(write_slowly(reply, f"{long_text} {long_text}", every=1.0))
    assert platform.refused == 0
    assert " ".join(room.texts) == f"{long_text} {long_text}"


@in_virtual_time
async def test_drafts_leave_room_for_the_final_text() -> None:
    platform = Platform()
    room, reply = Room(platform), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner(GROUP).show(reply, room, room="r"))
        for number in range(58):
            reply.write(f"draft {number}")
            await asyncio.sleep(1.0)
        reply.write("the end", final=True)
        written = now()
        await room.until(lambda texts: texts == ["the end"])
        assert now() - written < 1.0
    assert len(platform.calls) == 16


@in_virtual_time
async def test_a_bot_keeps_its_budget_over_all_rooms() -> None:
    platform = Platform(Rate(30, 1.0))
    bot = planner(CHAT)
    rooms = [Room(platform, f"room{number}") for number in range(50)]
    async with asyncio.TaskGroup() as group:
        for room in rooms:
            reply = WrittenReply()
            group.create_task(bot.show(reply, room, room=room.name))
            group.create_task(write_slowly(reply, "one two three four five six", every=0.5))
    assert platform.refused == 0
    assert all(room.texts == ["one two three four five six"] for room in rooms)


@in_virtual_time
async def test_drafts_give_way_to_first_sends_and_finals_of_other_rooms() -> None:
    pace = Pace(room=(), bot=(Rate(1, 1.0),), draft_interval=0.0)
    platform = Platform()
    bot = planner(pace)
    drafting, first, final = (Room(platform, name) for name in ("drafting", "first", "final"))
    replies = [WrittenReply(), WrittenReply(), WrittenReply()]
    async with asyncio.TaskGroup() as group:
        group.create_task(bot.show(replies[0], drafting, room="1"))
        replies[0].write("a")
        await drafting.until(bool)
        replies[0].write("a b")
        await asyncio.sleep(0.1)
        group.create_task(bot.show(replies[1], first, room="2"))
        replies[1].write("hello")
        group.create_task(bot.show(replies[2], final, room="3"))
        replies[2].write("bye", final=True)
        await drafting.until(lambda texts: texts == ["a b"])
        replies[0].write("a b", final=True)
        replies[1].write("hello", final=True)
    assert [(name, source) for _, name, _, source in platform.calls] == [
        ("drafting", "a"),
        ("first", "hello"),
        ("final", "bye"),
        ("drafting", "a b"),
    ]


@in_virtual_time
async def test_a_draft_that_waits_becomes_urgent_when_its_text_is_final() -> None:
    pace = Pace(room=(), bot=(), draft_interval=100.0)
    room, reply = Room(Platform()), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner(pace).show(reply, room, room="r"))
        reply.write("a")
        await room.until(bool)
        reply.write("a b")
        await asyncio.sleep(5)
        reply.write("a b c", final=True)
        began = now()
    assert now() == began
    assert room.texts == ["a b c"]


@pytest.mark.parametrize(("workers", "replies", "seconds"), [(1, 21, 2.0), (3, 21, 6.0), (60, 11, 60.0)])
def test_the_bots_budget_is_shared_by_the_workers(workers: int, replies: int, seconds: float) -> None:
    @in_virtual_time
    async def test() -> None:
        pace = Pace(room=(), bot=(Rate(10, 1.0),), draft_interval=0.0)
        platform, bot = Platform(), planner(pace, Together(workers))
        began = now()
        async with asyncio.TaskGroup() as group:
            for number in range(replies):
                reply = WrittenReply()
                reply.write("a", final=True)
                group.create_task(bot.show(reply, Room(platform, str(number)), room=str(number)))
        assert now() - began == pytest.approx(seconds)

    test()


@in_virtual_time
async def test_a_limited_room_pauses_and_others_do_not() -> None:
    platform = Platform()
    platform.answers = [Limited(30.0)]
    bot = planner(FREE)
    slow, free = Room(platform, "slow"), Room(platform, "free")
    replies = [WrittenReply(), WrittenReply()]
    began = now()
    async with asyncio.TaskGroup() as group:
        group.create_task(bot.show(replies[0], slow, room="1"))
        replies[0].write("a", final=True)
        await asyncio.sleep(1)
        group.create_task(bot.show(replies[1], free, room="2"))
        replies[1].write("b", final=True)
    assert [(at - began, name) for at, name, _, _ in platform.calls] == [
        (0.0, "slow"),
        (1.0, "free"),
        (30.0, "slow"),
    ]


@in_virtual_time
async def test_a_limited_bot_pauses_in_every_worker() -> None:
    platform, fleet = Platform(), Together(2)
    platform.answers = [Limited(30.0, everywhere=True)]
    workers = [planner(FREE, fleet), planner(FREE, fleet)]
    began = now()
    async with asyncio.TaskGroup() as group:
        for number, worker in enumerate(workers):
            reply = WrittenReply()
            reply.write("a", final=True)
            group.create_task(worker.show(reply, Room(platform, str(number)), room=str(number)))
            await asyncio.sleep(1)
    assert [at - began for at in platform.times()] == [0.0, 30.0, 30.0]


@in_virtual_time
async def test_a_bot_pauses_also_when_the_others_cannot_be_told(caplog: pytest.LogCaptureFixture) -> None:
    platform, fleet = Platform(), Together()
    platform.answers = [Limited(30.0, everywhere=True)]
    fleet.broken = True
    room, reply = Room(platform), WrittenReply()
    reply.write("a secret", final=True)
    began = now()
    with caplog.at_level(logging.DEBUG):
        await planner(FREE, fleet).show(reply, room, room="r")
    assert now() - began == 30.0
    assert "other workers" in caplog.text
    assert "secret" not in caplog.text


@in_virtual_time
async def test_rooms_are_forgotten_when_they_are_idle() -> None:
    bot, platform = planner(CHAT), Platform()
    for number in range(50):
        reply = WrittenReply()
        reply.write("a", final=True)
        await bot.show(reply, Room(platform, str(number)), room=str(number))
        await asyncio.sleep(0.5)
    assert bot.rooms <= 4


@in_virtual_time
async def test_two_replies_in_one_room_share_its_budget() -> None:
    platform, bot = Platform(Rate(1, 1.0)), planner(CHAT)
    room = Room(platform)
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            reply = WrittenReply()
            reply.write("a", final=True)
            group.create_task(bot.show(reply, room, room="r"))
    assert platform.refused == 0
    assert room.texts == ["a"] * 4
