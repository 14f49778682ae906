"""What can be done with an answer, on each platform that has buttons: over its own wire, on the loopback fakes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from core import notices
from core.dialogue import DialogueSettings
from core.engine.engine import NOBODY, Caller, Completion, Delta, Message, Params
from core.engine.scripted import ScriptedEngine
from core.guard import GuardSettings
from core.store.forget import Forget
from core.store.store import Store
from core.turns import Turn
from tests.contracts.discord_rig import DiscordRig
from tests.contracts.rig import ActingRig, DeletingRig, Rig
from tests.contracts.slack_rig import SlackRig
from tests.contracts.telegram_rig import TelegramRig
from tests.contracts.web_rig import WebRig
from tests.core.store.steps import eventually
from tests.running import running

WITH_BUTTONS = DialogueSettings(window=1_000_000, controls=True)
WHOLE = ["🔄 Regenerate", "👍", "👎"]
REGENERATE = WHOLE[0]


class Counting(ScriptedEngine):
    """Says the newest message back with the number of the answer, so that none is like another one."""

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(delay)
        self.asked = 0

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        self.asked += 1
        numbered = [*messages[:-1], Message("user", f"{messages[-1].text} ({self.asked})")]
        async with super().generate(numbered, params, caller) as completion:
            yield completion


@pytest.fixture(params=[DiscordRig, SlackRig, TelegramRig, WebRig], ids=lambda rig: rig.__name__)
async def rig(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[ActingRig]:
    async with request.param(store) as rig:
        yield rig


@pytest.fixture(params=[DiscordRig, SlackRig, TelegramRig], ids=lambda rig: rig.__name__)
async def group(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[Rig]:
    """A platform with rooms of several people."""
    async with request.param(store) as rig:
        yield rig


@pytest.fixture(params=[DiscordRig, SlackRig], ids=lambda rig: rig.__name__)
async def deleting(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[DeletingRig]:
    """Telegram tells no bot what was taken away."""
    async with request.param(store) as rig:
        yield rig


def said(text: str, number: int) -> str:
    return f"You said: {text} ({number})"


async def shows(rig: ActingRig, *texts: str, room: str | None = None) -> None:
    await rig.until_replies(lambda found: found == list(texts), person="ann", room=room)


async def shows_at_the_ends(rig: ActingRig, first: str, last: str) -> None:
    """What was left in between stands in a room, and the page draws it no more once it is drawn anew."""
    await rig.until_replies(lambda found: [found[:1], found[-1:]] == [[first], [last]], person="ann")


async def remembered(store: Store) -> list[Turn]:
    [conversation] = [each async for each in store.memory.conversations()]
    return await store.memory.turns(conversation, 100)


async def test_answer_is_made_anew_in_its_own_message(rig: ActingRig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        await rig.direct("hello")
        await shows(rig, said("hello", 1))
        assert rig.controls() == WHOLE
        await rig.press(REGENERATE)
        await shows(rig, said("hello", 2))
        await rig.direct("more")
        await shows(rig, said("hello", 2), said("more", 3))
    texts = [turn.text for turn in await remembered(store)]
    assert texts == ["hello", said("hello", 2), "more", said("more", 3)]


async def test_earlier_answers_are_reached_by_arrows(rig: ActingRig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        await rig.direct("hello")
        await shows(rig, said("hello", 1))
        for number in (2, 3):
            await rig.press(REGENERATE)
            await shows(rig, said("hello", number))
        assert rig.controls() == [REGENERATE, "◀", "3/3", "▶", "👍", "👎"]
        await rig.press("◀")
        await shows(rig, said("hello", 2))
        await rig.press("◀")
        await shows(rig, said("hello", 1))
        assert "1/3" in rig.controls()
        await rig.press("▶")
        await shows(rig, said("hello", 2))
    _, answer = await remembered(store)
    assert (answer.text, answer.version) == (said("hello", 2), 1)
    assert [each.text for each in answer.versions] == [said("hello", 1), said("hello", 3)]


async def test_stopped_answer_is_gone_on_with(rig: ActingRig, store: Store) -> None:
    words = "word " * 60
    async with running(rig.adapter, store=store, engine=ScriptedEngine(delay=0.1), dialogue=WITH_BUTTONS):
        await rig.direct(words)
        await rig.until_replies(lambda texts: "word" in " ".join(texts), person="ann")
        await rig.press("⏹ Stop")
        await rig.until_replies(lambda texts: notices.STOPPED.strip("_") in " ".join(texts), person="ann")
        assert "▶ Continue" in rig.controls()
    async with running(rig.adapter, store=store, engine=ScriptedEngine(), dialogue=WITH_BUTTONS):
        await rig.press("▶ Continue")
        await shows(rig, f"You said: {words}".strip())
    assert rig.controls() == WHOLE, "nothing is left to go on with"


async def test_only_who_asked_changes_an_answer(group: Rig, store: Store) -> None:
    async with running(group.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        await group.addressed("hello", person="ann", room="general")
        await shows(group, said("hello", 1), room="general")
        await group.press(REGENERATE, person="bob", room="general")
        await group.until_told(notices.NOT_YOURS, person="bob")
        assert await group.replies(room="general") == [said("hello", 1)]


async def test_answer_is_changed_where_each_person_has_a_conversation_of_their_own(
    group: Rig, store: Store
) -> None:
    scoped = GuardSettings(scope="person")
    async with running(group.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS, guard=scoped):
        await group.addressed("hello", person="ann", room="general")
        await shows(group, said("hello", 1), room="general")
        await group.press(REGENERATE, person="ann", room="general")
        await shows(group, said("hello", 2), room="general")
    [conversation] = [each async for each in store.memory.conversations()]
    assert conversation.thread.startswith("@")


@pytest.mark.parametrize(
    "group", [TelegramRig], indirect=True
)  # elsewhere an edit without a mention is for nobody
async def test_message_is_changed_where_each_person_has_a_conversation_of_their_own(
    group: Rig, store: Store
) -> None:
    scoped = GuardSettings(scope="person")
    async with running(group.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS, guard=scoped):
        message = await group.addressed("helo", person="ann", room="general")
        await shows(group, said("helo", 1), room="general")
        await group.edit(message, "hello")
        await shows(group, said("hello", 2), room="general")


async def test_message_is_forgotten_where_each_person_has_a_conversation_of_their_own(
    deleting: DeletingRig, store: Store
) -> None:
    scoped = GuardSettings(scope="person")
    async with running(deleting.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS, guard=scoped):
        message = await deleting.addressed("my secret", person="ann", room="general")
        await shows(deleting, said("my secret", 1), room="general")
        await deleting.delete(message)
        async with asyncio.timeout(20):
            # The store tells nobody of what is forgotten.
            while await remembered(store):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_deleted_message_ends_its_answer_where_each_person_has_a_conversation_of_their_own(
    deleting: DeletingRig, store: Store
) -> None:
    scoped = GuardSettings(scope="person")
    slow = ScriptedEngine(delay=0.1)
    async with running(deleting.adapter, store=store, engine=slow, dialogue=WITH_BUTTONS, guard=scoped):
        message = await deleting.addressed("word " * 500, person="ann", room="general")
        await deleting.until_replies(lambda texts: "word" in " ".join(texts), room="general")
        await deleting.delete(message)
        await deleting.addressed("next", person="ann", room="general")
        await deleting.until_replies(lambda texts: texts[-1:] == ["You said: next"], room="general")
    assert [turn.text for turn in await remembered(store)] == ["next", "You said: next"]


async def test_anybody_votes_where_each_person_has_a_conversation_of_their_own(group: Rig, store: Store) -> None:
    scoped = GuardSettings(scope="person")
    async with running(group.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS, guard=scoped):
        await group.addressed("hello", person="ann", room="general")
        await shows(group, said("hello", 1), room="general")
        await group.press("👎", person="bob", room="general")
        await group.until_told(notices.VOTED, person="bob")
        await group.press(REGENERATE, person="bob", room="general")
        await group.until_told(notices.NOT_YOURS, person="bob")
    assert [vote for _, vote in (await remembered(store))[1].votes] == [-1]


async def test_votes_are_kept_with_the_answer_one_for_each_person(group: Rig, store: Store) -> None:
    async with running(group.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        await group.addressed("hello", person="ann", room="general")
        await shows(group, said("hello", 1), room="general")
        await group.press("👍", person="ann", room="general")
        await group.until_told(notices.VOTED, person="ann")
        for vote in (1, -1, -1):
            await group.press("👍" if vote == 1 else "👎", person="bob", room="general")
            async with asyncio.timeout(20):
                # The store tells nobody of a vote.
                while [vote for _, vote in (await remembered(store))[1].votes] != [1, vote]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


async def test_forgotten_answer_is_left_as_it_is(rig: ActingRig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        await rig.direct("hello")
        await shows(rig, said("hello", 1))
        [conversation] = [each async for each in store.memory.conversations()]
        await Forget(store.client, store.inbox).conversation(conversation)
        await rig.press(REGENERATE)
        await rig.until_told(notices.NOT_REMEMBERED)
        await rig.press("👍")
        await rig.direct("more")
        await shows(rig, said("hello", 1), said("more", 2))


async def test_button_pressed_twice_counts_each_time(rig: ActingRig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        await rig.direct("hello")
        await shows(rig, said("hello", 1))
        await rig.press(REGENERATE)
        await rig.press(REGENERATE)
        await shows(rig, said("hello", 3))


async def test_button_works_a_month_and_a_restart_later(rig: ActingRig, store: Store) -> None:
    engine = Counting()
    async with running(rig.adapter, store=store, engine=engine, dialogue=WITH_BUTTONS):
        await rig.direct("hello")
        await shows(rig, said("hello", 1))
        await eventually(lambda: is_known_where_it_stands(store))
    await a_month_passes(store)
    async with running(rig.adapter, store=store, engine=engine, dialogue=WITH_BUTTONS):
        await rig.press("👍")
        await eventually(lambda: is_voted_for(store))
        await rig.press(REGENERATE)
        await shows(rig, said("hello", 2))


async def a_month_passes(store: Store) -> None:
    """For the store: what is kept for less than that is there no more."""
    month = 30 * 24 * 3600

    async def clear(redis: Redis) -> None:
        async for key in redis.scan_iter(count=1000):
            if 0 <= await redis.ttl(key) <= month:
                await redis.delete(key)

    await store.client.read(clear)


async def is_known_where_it_stands(store: Store) -> bool:
    return all(turn.messages for turn in await remembered(store))


async def is_voted_for(store: Store) -> bool:
    return any(turn.votes for turn in await remembered(store))


async def test_what_no_button_says_does_nothing(rig: ActingRig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        await rig.direct("hello")
        await shows(rig, said("hello", 1))
        for forged in ("drop table", "trialogue/", "act", "💥" * 16):
            await rig.forge(forged)
        await rig.direct("and now")
        await shows(rig, said("hello", 1), said("and now", 2))


async def test_edited_message_is_answered_anew_in_place(rig: ActingRig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        message = await rig.direct("helo")
        await shows(rig, said("helo", 1))
        await rig.edit(message, "hello")
        await shows(rig, said("hello", 2))
    asked, answer = await remembered(store)
    assert (asked.text, answer.text) == ("hello", said("hello", 2))
    assert [each.text for each in answer.versions] == [said("helo", 1)]


async def test_edit_ends_the_answer_that_is_written_to_the_old_words(rig: ActingRig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ScriptedEngine(delay=0.1), dialogue=WITH_BUTTONS):
        message = await rig.direct("word " * 500)
        await rig.until_replies(lambda texts: "word" in " ".join(texts), person="ann")
        await rig.edit(message, "hello")
        await shows(rig, "You said: hello")
    asked, answer = await remembered(store)
    assert (asked.text, answer.text) == ("hello", "You said: hello")
    assert [each.cut for each in answer.versions] == ["stopped"]


async def test_message_ends_the_answer_under_way_where_that_is_set(rig: ActingRig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=ScriptedEngine(delay=0.1), dialogue=WITH_BUTTONS):
        await rig.direct("hello")
        await shows(rig, "You said: hello")
        [conversation] = [each async for each in store.memory.conversations()]
        await store.places.put(conversation, "when_busy", "interrupt")
        await rig.direct("word " * 500)
        await rig.until_replies(lambda texts: "word" in " ".join(texts), person="ann")
        await rig.direct("next")
        await rig.until_replies(lambda texts: texts[-1:] == ["You said: next"], person="ann")
    cut = [turn.cut for turn in await remembered(store) if turn.role == "assistant"]
    assert cut == ["", "stopped", ""]


async def test_what_a_person_says_meanwhile_is_answered_together_where_that_is_set(
    group: Rig, store: Store
) -> None:
    async with running(group.adapter, store=store, engine=ScriptedEngine(delay=0.05), dialogue=WITH_BUTTONS):
        await group.direct("hello")
        await shows(group, "You said: hello")
        [conversation] = [each async for each in store.memory.conversations()]
        await store.places.put(conversation, "when_busy", "collect")
        await group.direct("word " * 60)
        await group.until_replies(lambda texts: "word" in " ".join(texts), person="ann")
        messages = [await group.direct("and"), await group.direct("then")]
        await group.until_replies(lambda texts: texts[-1].split() == ["You", "said:", "and", "then"], person="ann")
    asked = [turn for turn in await remembered(store) if turn.role == "user"]
    assert (len(asked), asked[-1].text, asked[-1].messages) == (3, "and\n\nthen", tuple(messages))


async def test_edit_of_an_older_message_branches_the_conversation_there(rig: ActingRig, store: Store) -> None:
    async with running(rig.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        first = await rig.direct("one")
        await shows(rig, said("one", 1))
        await rig.direct("two")
        await shows(rig, said("one", 1), said("two", 2))
        await rig.edit(first, "uno")
        await shows(rig, said("uno", 3), said("two", 2))
        await rig.press(REGENERATE)  # under the answer that was left
        await rig.until_told(notices.LEFT_BEHIND)
        await rig.direct("three")
        await shows_at_the_ends(rig, said("uno", 3), said("three", 4))
        await rig.edit(first, "un")
        await shows_at_the_ends(rig, said("un", 5), said("three", 4))
    asked, answer = await remembered(store)
    assert (asked.text, answer.text) == ("un", said("un", 5))
    assert [each.text for each in answer.versions] == [said("one", 1), said("uno", 3)]
    [conversation] = [each async for each in store.memory.conversations()]
    left = await store.memory.branches(conversation)
    assert [[turn.text for turn in turns if turn.role == "user"] for turns in left] == [
        ["one", "two"],
        ["uno", "three"],
    ]


async def test_deleted_message_is_forgotten_where_the_conversation_has_left_it(
    deleting: DeletingRig, store: Store
) -> None:
    async with running(deleting.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        first = await deleting.direct("one")
        await shows(deleting, said("one", 1))
        second = await deleting.direct("my secret")
        await shows(deleting, said("one", 1), said("my secret", 2))
        await deleting.edit(first, "uno")
        await shows(deleting, said("uno", 3), said("my secret", 2))
        await deleting.delete(second)
        [conversation] = [each async for each in store.memory.conversations()]
        async with asyncio.timeout(20):
            # The store tells nobody of what is forgotten.
            while len((await store.memory.branches(conversation))[0]) > 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    [left] = await store.memory.branches(conversation)
    assert [turn.text for turn in left] == ["one", said("one", 1)]


async def test_deleted_message_is_forgotten_with_its_answer(deleting: DeletingRig, store: Store) -> None:
    async with running(deleting.adapter, store=store, engine=Counting(), dialogue=WITH_BUTTONS):
        message = await deleting.direct("my secret")
        await shows(deleting, said("my secret", 1))
        await deleting.direct("more")
        await shows(deleting, said("my secret", 1), said("more", 2))
        await deleting.delete(message)
        async with asyncio.timeout(20):
            # The store tells nobody of what is forgotten.
            while len(await remembered(store)) > 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert [turn.text for turn in await remembered(store)] == ["more", said("more", 2)]


async def test_deleted_message_ends_the_answer_that_is_written_to_it(deleting: DeletingRig, store: Store) -> None:
    async with running(deleting.adapter, store=store, engine=ScriptedEngine(delay=0.1), dialogue=WITH_BUTTONS):
        message = await deleting.direct("word " * 500)
        await deleting.until_replies(lambda texts: "word" in " ".join(texts), person="ann")
        await deleting.delete(message)
        await deleting.direct("next")
        await deleting.until_replies(lambda texts: texts[-1:] == ["You said: next"], person="ann")
    assert [turn.text for turn in await remembered(store)] == ["next", "You said: next"]


class Busy(ScriptedEngine):
    """Answers others first until `free` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()
        self.place = 3

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        async with super().generate(messages, params, caller) as completion:
            yield InLine(self, completion)


class InLine:
    """The place in line of a completion, and then the completion."""

    estimate = 14.0

    def __init__(self, engine: Busy, completion: Completion) -> None:
        self._engine = engine
        self._completion = completion

    @property
    def place_in_line(self) -> int:
        return 0 if self._engine.free.is_set() else self._engine.place

    def spell(self, token_id: int) -> bytes:
        return self._completion.spell(token_id)

    def __aiter__(self) -> "InLine":
        return self

    async def __anext__(self) -> Delta:
        await self._engine.free.wait()
        return await anext(self._completion)


async def says_the_place(group: Rig, number: int) -> None:
    sentence = notices.in_line(number, 14.0).strip("_")
    await group.until_replies(lambda texts: [text.strip("*_") for text in texts] == [sentence], person="ann")


async def test_who_waits_sees_the_place_in_line_until_the_answer_takes_it(group: Rig, store: Store) -> None:
    engine = Busy()
    async with running(group.adapter, store=store, engine=engine, dialogue=WITH_BUTTONS):
        await group.direct("hello")
        await says_the_place(group, 3)
        engine.place = 1
        await says_the_place(group, 1)
        engine.free.set()
        await shows(group, "You said: hello")
    assert [turn.text for turn in await remembered(store)] == ["hello", "You said: hello"]


async def test_next_worker_takes_the_place_in_line_for_no_word_of_the_answer(group: Rig, store: Store) -> None:
    engine = Busy()
    async with running(group.adapter, store=store, engine=engine, dialogue=WITH_BUTTONS) as bot:
        await group.direct("hello")
        await says_the_place(group, 3)
        bot.stop()
        engine.free.set()
    async with running(group.adapter, store=store, engine=ScriptedEngine(), dialogue=WITH_BUTTONS):
        await group.until_replies(lambda texts: len(texts) == 1 and "line" not in texts[0], person="ann")
