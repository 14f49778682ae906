"""A long reply ends with all of it in a file."""

import asyncio

from adapters.delivery import File, InFile
from tests.adapters.delivery.platform import Platform, Room, WrittenReply, doubtful, planner, write_slowly
from tests.adapters.delivery.virtual_time import in_virtual_time

LONG = InFile(1, "in the file")


@in_virtual_time
async def test_a_long_reply_ends_with_all_of_it_in_a_file(long_text: str) -> None:
    room, reply = Room(Platform()), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r", in_file=LONG))
        group.create_task(write_slowly(reply, long_text))
    first, last = room.texts
    assert (last, list(room.files.values())) == ("in the file", [File("answer.md", long_text)])
    assert long_text.startswith(first)
    assert "".join(part.text for part in reply.parts) == long_text, "the record has all of it"


@in_virtual_time
async def test_a_file_that_may_have_been_added_is_added_again(long_text: str) -> None:
    platform = Platform()
    room, reply = Room(platform), WrittenReply()
    platform.after = [None, None, doubtful(in_doubt=True)]
    reply.write(long_text, final=True)
    await planner().show(reply, room, room="r", in_file=LONG)
    assert [kind for _, _, kind, _ in platform.calls] == ["send", "send", "edit", "edit"]
    assert list(room.files.values()) == [File("answer.md", long_text)]


@in_virtual_time
async def test_a_room_that_takes_no_file_gets_the_rest_in_messages(long_text: str) -> None:
    room, reply = Room(Platform()), WrittenReply()
    room.takes_files = False
    reply.write(long_text, final=True)
    await planner().show(reply, room, room="r", in_file=LONG)
    assert " ".join(room.texts).split() == long_text.split()
    assert "in the file" not in room.texts


@in_virtual_time
async def test_whoever_takes_over_adds_the_file(long_text: str) -> None:
    room, reply = Room(Platform()), WrittenReply()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(planner().show(reply, room, room="r", in_file=LONG))
        reply.write(long_text[:150])
        await asyncio.sleep(1)
        first.cancel()
    heir = WrittenReply(parts=reply.parts)
    heir.write(long_text, final=True)
    await planner().show(heir, room, room="r", in_file=LONG)
    assert room.texts[1:] == ["in the file"]
    assert list(room.files.values()) == [File("answer.md", long_text)]


@in_virtual_time
async def test_what_is_to_be_a_file_is_one_however_short_it_is() -> None:
    room, reply = Room(Platform()), WrittenReply()
    reply.write("short", final=True, filed="here it is")
    await planner().show(reply, room, room="r")
    assert (room.texts, list(room.files.values())) == (["here it is"], [File("answer.md", "short")])


@in_virtual_time
async def test_what_is_to_be_a_file_is_messages_in_a_room_that_takes_none(long_text: str) -> None:
    room, reply = Room(Platform()), WrittenReply()
    room.takes_files = False
    reply.write(long_text, final=True, filed="here it is")
    await planner().show(reply, room, room="r")
    assert " ".join(room.texts).split() == long_text.split()
