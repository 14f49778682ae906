"""The newest text wins, at the platform's pace."""

import asyncio

from adapters.delivery import Pace, Rate
from tests.adapters.delivery.platform import CHAT, Platform, Room, WrittenReply, planner, write_slowly
from tests.adapters.delivery.virtual_time import in_virtual_time, now


@in_virtual_time
async def test_a_final_text_is_sent_once() -> None:
    room, reply = Room(Platform()), WrittenReply()
    reply.write("hello **ann**", final=True)
    await planner().show(reply, room, room="r")
    assert room.texts == ["hello **ann**"]
    assert reply.log == [("showing", 0, "hello **ann**", True), ("shown", 0, "room-0", False)]


@in_virtual_time
async def test_newer_drafts_replace_older_ones_and_the_reply_never_waits() -> None:
    platform = Platform(call_time=5.0)
    room, reply = Room(platform), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        group.create_task(write_slowly(reply, " ".join("abcdefghijklmnop")))
    assert room.texts == [" ".join("abcdefghijklmnop")]
    assert len(reply.taken) == 16, "every draft was taken from the reply at once"
    assert len(platform.calls) == 2, "only the first and the newest one were shown"


@in_virtual_time
async def test_what_waits_for_the_budget_is_shown_in_its_newest_form() -> None:
    platform = Platform(Rate(1, 10.0))
    room, reply = Room(platform), WrittenReply()
    pace = Pace(room=(Rate(1, 10.0),), bot=(), draft_interval=0.0)
    alphabet = " ".join("abcdefghijklmnopqrstuvwxyz")
    began = now() + 0.5
    async with asyncio.TaskGroup() as group:
        group.create_task(planner(pace).show(reply, room, room="r"))
        await asyncio.sleep(0.5)
        group.create_task(write_slowly(reply, alphabet, every=0.9))
    assert [(at - began, source) for at, _, _, source in platform.calls] == [
        (0.0, "a"),
        (10.0, alphabet[: 2 * 12 - 1]),
        (20.0, alphabet[: 2 * 23 - 1]),
        (30.0, alphabet),
    ]
    assert platform.refused == 0


@in_virtual_time
async def test_drafts_keep_their_interval_and_the_final_text_does_not_wait_for_it() -> None:
    platform = Platform()
    room, reply = Room(platform), WrittenReply()
    pace = Pace(room=(), bot=(), draft_interval=3.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(planner(pace).show(reply, room, room="r"))
        group.create_task(write_slowly(reply, "a b c d e f g h", every=0.5))
    start = platform.times()[0]
    assert [at - start for at in platform.times()] == [0.0, 3.0, 3.5]


@in_virtual_time
async def test_empty_drafts_are_not_sent() -> None:
    platform = Platform()
    room, reply = Room(platform), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        for text in ("", " ", "**", "- "):
            reply.write(text)
            await asyncio.sleep(1)
        reply.write("**a**", final=True)
    assert [source for _, _, _, source in platform.calls] == ["**a**"]


@in_virtual_time
async def test_the_final_text_is_shown_again_only_if_it_differs_in_form() -> None:
    for draft, calls in (("same", 1), ("not **closed", 2)):
        platform = Platform()
        room, reply = Room(platform), WrittenReply()
        async with asyncio.TaskGroup() as group:
            group.create_task(planner().show(reply, room, room="r"))
            reply.write(draft)
            await asyncio.sleep(1)
            reply.write(draft, final=True)
        assert room.texts == [draft]
        assert len(platform.calls) == calls


@in_virtual_time
async def test_drafts_are_healed() -> None:
    platform = Platform()
    room, reply = Room(platform), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        group.create_task(write_slowly(reply, "some **bold words** here", every=1.0))
    assert [source for _, _, _, source in platform.calls] == [
        "some",
        "some **bold**",
        "some **bold words**",
        "some **bold words** here",
    ]


@in_virtual_time
async def test_typing_is_shown_until_there_is_something_to_see() -> None:
    room, reply = Room(Platform(call_time=1.0)), WrittenReply()
    began = now()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        await asyncio.sleep(4)
        reply.write("a")
        await asyncio.sleep(4)
        reply.write("a b", final=True)
    assert room.typed == [(began, began + 5.0)]


@in_virtual_time
async def test_a_reply_that_is_whole_within_a_moment_is_one_call() -> None:
    platform = Platform()
    room, reply = Room(platform), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner(CHAT, moment=0.5).show(reply, room, room="r"))
        began = now()
        group.create_task(write_slowly(reply, "a b c d"))
    assert [(round(at - began, 3), source) for at, _, _, source in platform.calls] == [(0.3, "a b c d")]
    assert room.typed == []


@in_virtual_time
async def test_after_a_moment_whatever_there_is_is_shown() -> None:
    platform = Platform()
    room, reply = Room(platform), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner(CHAT, moment=0.25).show(reply, room, room="r"))
        began = now()
        group.create_task(write_slowly(reply, "a b c d e f"))
    assert [(round(at - began, 3), source) for at, _, _, source in platform.calls] == [
        (0.25, "a b c"),
        (1.25, "a b c d e f"),
    ]
