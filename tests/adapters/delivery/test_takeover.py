"""Another worker goes on where one has ended, in the same messages."""

import asyncio

from adapters.delivery import SURPLUS
from core.turns import Part
from tests.adapters.delivery.platform import CHAT, Platform, Room, WrittenReply, planner, write_slowly
from tests.adapters.delivery.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_reply_that_is_taken_over_is_continued_in_the_same_message() -> None:
    room = Room(Platform())
    room.messages["room-0"] = "one two"
    reply = WrittenReply(parts=[Part("one two", 7, "room-0")])
    reply.write("one two three", final=True)
    await planner().show(reply, room, room="r")
    assert room.messages == {"room-0": "one two three"}
    assert room.typed == []


@in_virtual_time
async def test_recorded_parts_keep_their_ends_and_are_not_touched() -> None:
    platform = Platform()
    room = Room(platform)
    room.messages.update({"room-0": "one", "room-1": "two"})
    reply = WrittenReply(parts=[Part("one ", 4, "room-0"), Part("two", 7, "room-1")])
    reply.write("one two three", final=True)
    await planner().show(reply, room, room="r")
    assert room.messages == {"room-0": "one", "room-1": "two three"}
    assert len(platform.calls) == 1


@in_virtual_time
async def test_a_part_in_doubt_is_looked_up_and_continued() -> None:
    platform = Platform()
    room = Room(platform, finds=True)
    room.messages["room-0"] = "one two"
    room.keys["key0"] = "room-0"
    reply = WrittenReply(parts=[Part("one two", 7)])
    reply.write("one two three", final=True)
    await planner().show(reply, room, room="r")
    assert room.messages == {"room-0": "one two three"}
    assert [(kind, source) for _, _, kind, source in platform.calls] == [
        ("find", "one two"),
        ("edit", "one two three"),
    ]
    assert reply.log[0] == ("shown", 0, "room-0", False)


@in_virtual_time
async def test_a_part_in_doubt_that_is_not_found_is_sent_again() -> None:
    room, reply = Room(Platform()), WrittenReply(parts=[Part("one two", 7)])
    reply.write("one two three")
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        await room.until(lambda texts: texts == ["one two three"])
        reply.write("one two three four", final=True)
    assert room.texts == ["one two three four"]
    assert "key0" in room.keys


@in_virtual_time
async def test_a_part_in_doubt_is_taken_for_shown_where_nothing_is_sent_twice() -> None:
    room, reply = Room(Platform()), WrittenReply(parts=[Part("one two ", 8)])
    reply.write("one two three", final=True)
    await planner(in_doubt="skip").show(reply, room, room="r")
    assert room.texts == ["three"]
    assert [part.text for part in reply.parts] == ["one two ", "three"]


@in_virtual_time
async def test_a_draft_that_repeats_what_is_shown_does_not_take_it_back() -> None:
    platform = Platform()
    room = Room(platform)
    room.messages["room-0"] = "one two three"
    reply = WrittenReply(parts=[Part("one two three", 13, "room-0")])
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        group.create_task(write_slowly(reply, "one two three four five", every=1.0))
    assert [source for _, _, _, source in platform.calls] == ["one two three four", "one two three four five"]


@in_virtual_time
async def test_an_answer_made_anew_replaces_what_was_posted(long_text: str) -> None:
    room = Room(Platform())
    room.messages.update({"room-0": "an old answer", "room-1": "its end"})
    reply = WrittenReply(parts=[Part("an old answer ", 14, "room-0"), Part("its end", 21, "room-1")])
    async with asyncio.TaskGroup() as group:
        group.create_task(planner(CHAT).show(reply, room, room="r"))
        group.create_task(write_slowly(reply, long_text))
    assert " ".join(room.texts) == long_text
    assert "".join(part.text for part in reply.parts) == long_text


@in_virtual_time
async def test_messages_that_are_left_over_are_made_to_say_nothing() -> None:
    room = Room(Platform())
    room.messages.update({"room-0": "an old answer", "room-1": "its end", "room-2": "more"})
    reply = WrittenReply(
        parts=[Part("an old answer ", 14, "room-0"), Part("its end ", 22, "room-1"), Part("more", 26, "room-2")]
    )
    reply.write("a new one", final=True)
    await planner().show(reply, room, room="r")
    assert room.texts == ["a new one", SURPLUS, SURPLUS]
    again = WrittenReply(parts=reply.parts)
    again.write("a new one", final=True)
    room.messages.update({"room-0": "a new o", "room-1": "?", "room-2": "?"})
    await planner().show(again, room, room="r")
    assert room.texts == ["a new one", SURPLUS, SURPLUS]


@in_virtual_time
async def test_an_answer_made_anew_survives_a_second_takeover(long_text: str) -> None:
    """The half of the new answer that was recorded is not taken for a part that ends there."""
    room = Room(Platform())
    room.messages.update({"room-0": "word0 wor", "room-1": "its end"})
    reply = WrittenReply(parts=[Part("word0 wor", 9, "room-0"), Part("its end", 21, "room-1")])
    reply.write(long_text, final=True)
    await planner().show(reply, room, room="r")
    assert " ".join(room.texts) == long_text
    assert len(room.texts[0]) > 80
