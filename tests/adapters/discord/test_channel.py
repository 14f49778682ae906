"""A room and an interaction as the planner sees them: each error of Discord's has one meaning."""

import time

import pytest

from adapters.delivery import Limited, MessageGone, Unavailable
from adapters.discord.channel import RoomChannel, translated
from adapters.discord.interaction import InteractionChannel
from adapters.discord.rest import Rejected, Rest
from core.errors import Refused
from tests.contracts.discord_rig import settings_for
from tests.fakes.discord import FakeDiscord, Fault

LONG_AGO = 0.0


def room_for(
    rest: Rest, fake: FakeDiscord, asked: str, *, at: float = LONG_AGO, refers: bool = True
) -> RoomChannel:
    general = fake.world.room("general").id
    return RoomChannel(rest, general, me=fake.world.bot.id, asked=asked, at=at, reply_to=asked if refers else None)


def answer_for(
    rest: Rest, fake: FakeDiscord, *, private: bool = False, until: float | None = None
) -> InteractionChannel:
    command = fake.command("help" if private else "reset", room="general")
    return InteractionChannel(
        rest,
        room_for(rest, fake, command.id, refers=False),
        application=fake.world.application,
        token=command.token,
        until=time.time() + 900 if until is None else until,
        private=private,
    )


async def deferred(rest: Rest, fake: FakeDiscord, *, private: bool = False) -> InteractionChannel:
    answer = answer_for(rest, fake, private=private)
    command = list(fake.rest.interactions.values())[-1]
    await rest.call(
        "POST",
        "/interactions/{interaction_id}/{webhook_token}/callback",
        {"type": 5, "data": {"flags": 64 if private else 0}},
        interaction_id=command.id,
        webhook_token=command.token,
    )
    return answer


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (404, 10008, MessageGone),
        (404, 10003, Refused),
        (403, 50001, Refused),
        (403, 50013, Refused),
        (403, 50007, Refused),
        (400, 50035, Refused),
        (400, 30046, Limited),
        (403, 20028, Limited),
        (403, 40004, Unavailable),
    ],
)
def test_each_refusal_has_its_meaning(status: int, code: int, meaning: type[Exception]) -> None:
    assert isinstance(translated(Rejected(status, code, "what Discord says")), meaning)


@pytest.mark.parametrize(
    ("fault", "everywhere"), [("429", False), ("429 everywhere", True), ("429 of cloudflare", True)]
)
async def test_limit_is_told_at_once(rest: Rest, fake: FakeDiscord, fault: Fault, everywhere: bool) -> None:
    fake.fail("POST", "/messages", fault, after=2.5)
    with pytest.raises(Limited) as limited:
        await room_for(rest, fake, "1").send("x", key="k")
    assert (limited.value.after, limited.value.everywhere) == (2.5, everywhere)
    assert len(fake.calls("POST", "/messages")) == 1


@pytest.mark.parametrize("fault", ["500", "503", "html", "html 200", "garbage", "cut before", "cut after"])
async def test_what_may_have_worked_is_told_so(rest: Rest, fake: FakeDiscord, fault: Fault) -> None:
    fake.fail("POST", "/messages", fault)
    with pytest.raises(Unavailable) as unavailable:
        await room_for(rest, fake, "1").send("x", key="k")
    assert unavailable.value.in_doubt


async def test_platform_that_cannot_be_reached_has_done_nothing(fake: FakeDiscord) -> None:
    rest = Rest(settings_for(fake))
    await rest.open()
    room = room_for(rest, fake, "1")
    await fake.__aexit__(None, None, None)
    doubts = []
    for _ in range(2):
        with pytest.raises(Unavailable) as unavailable:
            await room.send("x", key="k")
        doubts.append(unavailable.value.in_doubt)
    await rest.close()
    # The first call still had a connection, on which anything may have happened.
    assert doubts[-1] is False


async def test_token_that_is_no_longer_accepted_is_a_refusal(rest: Rest, fake: FakeDiscord) -> None:
    room = room_for(rest, fake, "1")
    fake.world.bot.id = fake.world.snowflake()  # and with it the token
    with pytest.raises(Refused, match="token"):
        await room.send("x", key="k")


async def test_repeated_send_finds_the_first_message_and_brings_it_up_to_date(
    rest: Rest, fake: FakeDiscord
) -> None:
    room = room_for(rest, fake, fake.say("hi", room="general"))
    first = await room.send("one", key="k")
    again = await room.send("one two", key="k")
    assert (first, fake.shown("general")) == (again, ["one two"])


async def test_message_in_doubt_is_found_by_what_it_says(rest: Rest, fake: FakeDiscord) -> None:
    asked = fake.say("hi", room="general")
    sent = await room_for(rest, fake, asked).send("**the** answer", key="k")
    fake.say("**the** answer", room="general")
    fake.rest.forget_nonces()
    assert await room_for(rest, fake, asked).find("k", "**the** answer") == sent
    assert await room_for(rest, fake, asked).find("k", "another answer") is None


async def test_same_words_to_somebody_else_are_not_taken_for_ours(rest: Rest, fake: FakeDiscord) -> None:
    earlier = fake.say("hi", room="general")
    asked = fake.say("hi", room="general", person="bob")
    await room_for(rest, fake, earlier).send("hello", key="k")
    assert await room_for(rest, fake, asked).find("other", "hello") is None


async def test_nobody_looks_while_discord_knows_the_nonce(rest: Rest, fake: FakeDiscord) -> None:
    asked = fake.say("hi", room="general")
    room = room_for(rest, fake, asked, at=time.time())
    await room.send("the answer", key="k")
    assert await room.find("k", "the answer") is None
    assert fake.calls("GET", "/messages") == []


async def test_room_whose_history_is_closed_finds_nothing(rest: Rest, fake: FakeDiscord) -> None:
    asked = fake.say("hi", room="general")
    fake.remove_bot("general")
    assert await room_for(rest, fake, asked).find("k", "x") is None


async def test_typing_ends_with_its_block_and_bothers_nobody(rest: Rest, fake: FakeDiscord) -> None:
    fake.fail("POST", "/typing", "500")
    with pytest.raises(LookupError):
        async with room_for(rest, fake, "1").typing():
            await fake.until(lambda: len(fake.calls("POST", "/typing")) == 1)
            raise LookupError


async def test_answer_takes_the_place_of_the_thinking(rest: Rest, fake: FakeDiscord) -> None:
    answer = await deferred(rest, fake)
    message = await answer.send("done", key="a")
    await answer.edit(message, "done at last")
    assert fake.shown("general") == ["done at last"]


async def test_further_parts_are_messages_of_the_channel(rest: Rest, fake: FakeDiscord) -> None:
    answer = await deferred(rest, fake)
    await answer.send("one", key="a")
    second = await answer.send("two", key="b")
    assert second == await answer.send("two", key="b")
    await answer.edit(second, "two!")
    assert fake.shown("general") == ["one", "two!"]


async def test_channel_closed_to_the_bot_gets_further_parts_as_part_of_the_answer(
    rest: Rest, fake: FakeDiscord
) -> None:
    answer = await deferred(rest, fake)
    await answer.send("one", key="a")
    fake.world.room("general").forbidden = "write"
    await answer.send("two", key="b")
    assert fake.shown("general") == ["one", "two"]


async def test_interaction_that_has_ended_is_answered_in_the_channel(rest: Rest, fake: FakeDiscord) -> None:
    answer = answer_for(rest, fake, until=time.time() - 1)
    message = await answer.send("late", key="a")
    await answer.edit(message, "late, but here")
    assert fake.shown("general") == ["late, but here"]


async def test_interaction_that_ends_in_the_middle_is_finished_as_a_message(rest: Rest, fake: FakeDiscord) -> None:
    answer = await deferred(rest, fake)
    message = await answer.send("one", key="a")
    for command in fake.rest.interactions.values():
        command.made -= 1000
    await answer.edit(message, "one two")
    assert fake.shown("general") == ["one two"]


async def test_answer_for_one_person_is_never_moved_to_the_channel(rest: Rest, fake: FakeDiscord) -> None:
    late = answer_for(rest, fake, private=True, until=time.time() - 1)
    with pytest.raises(Refused):
        await late.send("secret", key="a")
    never = answer_for(rest, fake, private=True)
    with pytest.raises(Refused):
        await never.send("secret", key="b")
    answer = await deferred(rest, fake, private=True)
    await answer.send("one", key="c")
    second = await answer.send("two", key="d")
    await answer.edit(second, "two!")
    assert fake.whispered("ann") == ["one", "two!"]
    assert fake.shown("general") == []


async def test_original_in_doubt_is_looked_up(rest: Rest, fake: FakeDiscord) -> None:
    answer = await deferred(rest, fake)
    assert await answer.find("a", "done") is None
    fake.fail("PATCH", "/messages/@original", "cut after")
    with pytest.raises(Unavailable):
        await answer.send("done", key="a")
    found = await answer.find("a", "done")
    assert found == fake.written("general")[0].id
