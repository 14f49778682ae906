"""A long reply becomes several messages, each recorded before it is shown."""

import asyncio

from tests.adapters.delivery.platform import CHAT, Platform, Room, WrittenReply, planner, write_slowly
from tests.adapters.delivery.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_long_text_becomes_parts_that_lose_nothing(long_text: str) -> None:
    platform = Platform()
    room, reply = Room(platform), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner(CHAT).show(reply, room, room="r"))
        group.create_task(write_slowly(reply, long_text))
    assert len(room.messages) > 3
    assert " ".join(room.texts) == long_text
    assert "".join(part.text for part in reply.parts) == long_text
    assert [part.message for part in reply.parts] == list(room.messages)


@in_virtual_time
async def test_a_closed_part_is_never_touched_again(long_text: str) -> None:
    platform = Platform()
    room, reply = Room(platform), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        group.create_task(write_slowly(reply, f"**{long_text}** {long_text}"))
    changed = [part for kind, part, _, _ in reply.log if kind == "showing"]
    assert len(set(changed)) > 6
    assert changed == sorted(changed)
    assert [final for kind, _, _, final in reply.log if kind == "showing"] == [False] * (len(changed) - 1) + [True]


@in_virtual_time
async def test_each_change_is_recorded_before_it_and_confirmed_once(long_text: str) -> None:
    platform = Platform()
    room, reply = Room(platform), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        group.create_task(write_slowly(reply, long_text))
    assert [part for kind, part, _, _ in reply.log if kind == "shown"] == list(range(len(room.messages)))
    recorded = [text.strip() for kind, _, text, _ in reply.log if kind == "showing"]
    assert [source for _, _, _, source in platform.calls] == list(dict.fromkeys(recorded))
    assert "".join(part.text for part in reply.parts) == long_text
    assert room.needless == 0
