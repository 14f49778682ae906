"""Calls that fail, are limited or in doubt; messages that are gone; deliveries that end early."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.delivery import SURPLUS, Limited, Unavailable, Undelivered
from core.errors import LeaseLost, Refused, StoreUnavailable
from core.turns import Part
from tests.adapters.delivery.platform import (
    CHAT,
    Platform,
    Room,
    Together,
    WrittenReply,
    doubtful,
    planner,
    write_slowly,
)
from tests.adapters.delivery.virtual_time import in_virtual_time, now


@in_virtual_time
async def test_a_failed_part_is_tried_again_and_the_rest_follows(long_text: str) -> None:
    platform = Platform()
    platform.answers = [None, *[Unavailable(in_doubt=False)] * 5, None, Unavailable(in_doubt=False)]
    room, reply = Room(platform), WrittenReply()
    reply.write(long_text, final=True)
    await planner().show(reply, room, room="r")
    assert " ".join(room.texts) == long_text


@in_virtual_time
async def test_waits_grow_between_tries() -> None:
    platform = Platform()
    platform.answers = [Unavailable(in_doubt=False)] * 9
    room, reply = Room(platform), WrittenReply()
    reply.write("a", final=True)
    await planner().show(reply, room, room="r")
    times = platform.times()
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


@in_virtual_time
async def test_waits_are_spread() -> None:
    platform = Platform()
    platform.answers = [Unavailable(in_doubt=False)] * 2
    room, reply = Room(platform), WrittenReply()
    reply.write("a", final=True)
    await planner(jitter=iter([0.0, 0.5]).__next__).show(reply, room, room="r")
    times = platform.times()
    assert [times[1] - times[0], times[2] - times[1]] == [0.25, 0.75]


@in_virtual_time
async def test_a_send_in_doubt_is_looked_up_before_it_is_repeated() -> None:
    platform = Platform()
    platform.after = [Unavailable(in_doubt=True)]
    room, reply = Room(platform, finds=True), WrittenReply()
    reply.write("a", final=True)
    await planner().show(reply, room, room="r")
    assert room.texts == ["a"]
    assert [kind for _, _, kind, _ in platform.calls] == ["send", "find"]


@in_virtual_time
async def test_a_send_in_doubt_that_did_not_work_is_repeated_with_the_same_key() -> None:
    platform = Platform()
    platform.answers = [Unavailable(in_doubt=True)]
    room, reply = Room(platform, finds=True), WrittenReply()
    reply.write("a", final=True)
    await planner().show(reply, room, room="r")
    assert room.texts == ["a"]
    assert [kind for _, _, kind, _ in platform.calls] == ["send", "find", "send"]
    assert list(room.keys) == ["key0"]


@in_virtual_time
async def test_a_send_in_doubt_is_not_repeated_where_nothing_is_sent_twice() -> None:
    platform = Platform()
    platform.after = [Unavailable(in_doubt=True)]
    room, reply = Room(platform), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner(in_doubt="skip").show(reply, room, room="r"))
        reply.write("one")
        await asyncio.sleep(10)
        reply.write("one two", final=True)
    assert room.texts == ["one", "two"]


@in_virtual_time
async def test_a_call_that_outlives_the_lease_is_cut_off_and_tried_with_a_new_one() -> None:
    platform = Platform(call_time=20.0)
    room, reply = Room(platform, finds=True), WrittenReply(lease=8.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        reply.write("a", final=True)
        await asyncio.sleep(7.0)
        assert len(platform.calls) == 1
        await asyncio.sleep(2.0)
        platform.call_time = 0.0
    assert room.texts == ["a"]
    assert [entry[0] for entry in reply.log] == ["showing", "showing", "shown"]


@in_virtual_time
async def test_no_call_is_begun_when_the_lease_is_over() -> None:
    platform = Platform()
    room, reply = Room(platform), WrittenReply(lease=-1.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        reply.write("a", final=True)
        await asyncio.sleep(5.0)
        assert platform.calls == []
        reply.lease = 8.0
    assert room.texts == ["a"]


@in_virtual_time
async def test_a_platform_that_stays_away_is_given_up_in_the_end() -> None:
    platform = Platform()
    platform.answers = [Unavailable(in_doubt=True)] * 1000
    room, reply = Room(platform), WrittenReply()
    reply.write("a", final=True)
    began = now()
    with pytest.raises(Undelivered) as failure:
        await planner().show(reply, room, room="r")
    assert isinstance(failure.value, Refused)
    assert now() - began == pytest.approx(600)


@in_virtual_time
async def test_a_pause_that_is_longer_than_patience_is_given_up() -> None:
    platform = Platform()
    platform.answers = [Limited(3600)]
    room, reply = Room(platform), WrittenReply()
    reply.write("a", final=True)
    with pytest.raises(Undelivered):
        await planner(patience=60.0).show(reply, room, room="r")
    assert len(platform.calls) == 1


@in_virtual_time
async def test_a_failed_draft_is_skipped() -> None:
    platform = Platform()
    platform.answers = [None, Unavailable(in_doubt=True), Unavailable(in_doubt=False)]
    room, reply = Room(platform), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        group.create_task(write_slowly(reply, " ".join("abcdefghijklmnopqrstuvwxyz"), every=0.1))
    assert room.texts == [" ".join("abcdefghijklmnopqrstuvwxyz")]
    sources = [source for _, _, _, source in platform.calls]
    assert len(set(sources)) == len(sources), "no draft was tried twice"


@in_virtual_time
async def test_a_message_that_somebody_removed_is_not_posted_again(long_text: str) -> None:
    room, reply = Room(Platform()), WrittenReply()
    async with asyncio.TaskGroup() as group:
        group.create_task(planner().show(reply, room, room="r"))
        reply.write("word0")
        await room.until(lambda texts: texts == ["word0"])
        del room.messages["room-0"]
        room.messages["somebody"] = "else"
        reply.write(long_text, final=True)
    assert room.texts[0] == "else"
    shown = " ".join(room.texts[1:])
    assert long_text.endswith(shown)
    assert len(long_text) - len(shown) <= 101


@in_virtual_time
async def test_a_refusal_for_good_ends_the_delivery() -> None:
    platform = Platform()
    platform.answers = [Refused("x", "the bot was removed", fix="Invite it.")]
    room, reply = Room(platform), WrittenReply()
    reply.write("a")
    with pytest.raises(Refused, match="removed"):
        await planner().show(reply, room, room="r")
    assert len(room.typed) == 1


@pytest.mark.parametrize("error", [LeaseLost(), StoreUnavailable()], ids=["lease", "store"])
def test_what_the_reply_raises_ends_the_delivery(error: Exception) -> None:
    @in_virtual_time
    async def test() -> None:
        platform = Platform()
        room, reply = Room(platform), WrittenReply()
        reply.error = error
        reply.write("a")
        with pytest.raises(type(error)):
            await planner().show(reply, room, room="r")
        assert platform.calls == []

    test()


@pytest.mark.parametrize("moment", ["idle", "budget", "call", "back-off"])
def test_cancellation_is_immediate(moment: str) -> None:
    @in_virtual_time
    async def test() -> None:
        platform = Platform(call_time=5.0 if moment == "call" else 0.0)
        if moment == "back-off":
            platform.answers = [Unavailable(in_doubt=False)] * 20
        fleet = Together()
        if moment == "budget":
            await fleet.pause("bot", 100)
        room, reply = Room(platform), WrittenReply()
        bot = planner(CHAT, fleet)
        if moment != "idle":
            reply.write("a", final=True)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bot.show(reply, room, room="r"))
            await asyncio.sleep(3.1)
            cancelled = now()
            task.cancel()
        assert now() == cancelled
        assert task.cancelled()
        assert len(room.typed) == 1

    test()


faults = st.lists(
    st.sampled_from([None, None, Limited(3.0), Limited(1.0, everywhere=True), *map(doubtful, (False, True))]),
    max_size=12,
)


@given(
    before=faults,
    after=st.lists(st.sampled_from([None, None, doubtful(True)]), max_size=12),
    deaths=st.lists(st.floats(0.0, 20.0), max_size=4),
    words=st.lists(st.sampled_from(["word", "**bold**", "`code`", "line\n", "end.\n\n"]), min_size=1, max_size=60),
    anew=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_the_room_ends_with_the_whole_text_once(
    before: list[Exception | None],
    after: list[Exception | None],
    deaths: list[float],
    words: list[str],
    anew: bool,
) -> None:
    """Errors, cut connections and dying workers, on a platform where a message can be looked up."""

    @in_virtual_time
    async def test() -> None:
        platform = Platform(call_time=0.3)
        platform.answers, platform.after = list(before), list(after)
        room = Room(platform, finds=True)
        parts: list[Part] = []
        for life, seconds in enumerate([*deaths, None]):
            text = " ".join([f"life {life}", *words] if anew else words)
            reply = WrittenReply(parts=parts)
            try:
                async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                    group.create_task(planner(CHAT).show(reply, room, room="r"))
                    group.create_task(write_slowly(reply, text, every=0.2))
                break
            except TimeoutError:
                parts = reply.parts
        assert "".join(" ".join(t for t in room.texts if t != SURPLUS).split()) == "".join(text.split())
        assert all(room.size(source) <= room.limit for source in room.texts)

    test()
