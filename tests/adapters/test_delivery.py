"""The delivery planner against a scripted platform, in virtual time: no test waits, and each sees every second."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.delivery import SURPLUS, Limited, MessageGone, Pace, Planner, Rate, Unavailable, Undelivered
from core.errors import LeaseLost, Refused, StoreUnavailable
from core.turns import Control, Draft, Part
from tests.adapters.virtual_time import in_virtual_time, now

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

    async def send(self, source: str, *, key: str, controls: Sequence[Control] = ()) -> str:
        await self.platform.called(self, "send", source)
        message = f"{self.name}-{len(self.messages)}"
        self.messages[message] = source
        self.keys[key] = message
        self.changed.set()
        self.platform.answered()
        return message

    async def edit(self, message: str, source: str, *, controls: Sequence[Control] = ()) -> None:
        await self.platform.called(self, "edit", source)
        if message not in self.messages:
            raise MessageGone
        self.needless += self.messages[message] == source
        self.messages[message] = source
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

    def write(self, text: str, *, final: bool = False) -> None:
        self.written = Draft(text, final)
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


@pytest.fixture
def long_text() -> str:
    return " ".join(f"word{number}" for number in range(60))


# The newest text wins


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


# Parts


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


# Takeovers


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


# When things go wrong


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


# Everything at once


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


# Budgets


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
