"""A message that is changed later, in a worker's life: the conversation branches there and goes on from it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from core import notices
from core.dialogue import DialogueSettings
from core.engine.scripted import ScriptedEngine
from core.extension import Declined, Extension
from core.store.folds import Fold
from core.store.store import Store
from core.summary import Summary
from core.turns import Event, Reply, Speaker, Turn
from tests.core.rooms import ANN, TALK, Broken, Chat, Mirror, event, remembered, working
from tests.core.store.steps import eventually
from tests.core.test_folding import DIALOGUE as FOLDING
from tests.core.test_folding import FOLDED, TEN, Clerk, until_summarised
from tests.core.test_folding import say as say_ten

ROOMY = DialogueSettings(window=5000)
NARROW = DialogueSettings(persona="", window=20)


class Wide(Mirror):
    context = 100_000


def changed(number: int, message: int, text: str, speaker: Speaker = ANN) -> Event:
    """The event number `number`: somebody changes the words of the message number `message`."""
    made = event(number, text, kind="edit", target=str(message), message=str(message), speaker=speaker)
    return replace(made, id=f"{made.id}/edit")


class Told(Chat):
    """Knows what each event was told in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, str] = {}
        self.replaced: list[Sequence[str]] = []

    async def deliver(self, event: Event, reply: Reply) -> None:
        self.replaced.append(reply.replaces)
        await super().deliver(event, reply)
        async with self._changed:
            self.told[event.id] = self.texts[event.id]
            self._changed.notify_all()


async def say(store: Store, chat: Told, *events: Event) -> list[str]:
    """One after the other; what is told to them."""
    for each in events:
        await store.inbox.accept(each)
        await chat.until(lambda _: each.id in chat.told)  # noqa: B023 - it is waited for here
    return [chat.told[each.id] for each in events]


async def left(store: Store) -> list[list[str]]:
    return [[turn.text for turn in turns] for turns in await store.memory.branches(TALK)]


@pytest.fixture
async def chat() -> AsyncIterator[Told]:
    yield Told()


async def test_conversation_goes_on_from_the_changed_message_and_keeps_what_came_after_it(
    store: Store, chat: Told
) -> None:
    async with working(store, chat.deliver, Wide(), dialogue=DialogueSettings(persona="", window=5000)):
        first, second, third = await say(store, chat, *(event(number) for number in (1, 2, 3)))
        told, after = await say(store, chat, changed(4, 2, "other words"), event(5, "and then"))
    assert told == f"user: message 1 | assistant: {first} | user: other words"
    assert after == f"{told} | assistant: {told} | user: and then"
    assert await remembered(store) == ["message 1", first, "other words", told, "and then", after]
    assert await left(store) == [["message 2", second, "message 3", third]]
    turns = await store.memory.turns(TALK, 10)
    assert [turn.number for turn in turns] == [1, 2, 3, 4, 5, 6]
    assert [[version.text for version in turn.versions] for turn in turns[3:4]] == [[second]]


async def test_new_answer_takes_the_place_of_the_old_one(store: Store, chat: Told) -> None:
    async with working(store, chat.deliver):
        await say(store, chat, event(1), event(2), changed(3, 1, "other words"))
    assert chat.replaced == [(), (), (f"message-{event(1).id}",)]


async def test_message_that_the_window_has_long_left_is_found(short: Store, chat: Told) -> None:
    async with working(short, chat.deliver, dialogue=NARROW):
        await say(short, chat, *(event(number) for number in range(1, 301)))
    async with working(short, chat.deliver, Mirror(), dialogue=NARROW):
        told, after = await say(short, chat, changed(301, 2, "other words"), event(302))
    assert told == "user: message 1 | assistant: You said: message 1 | user: other words"
    assert after.endswith(f"assistant: {told} | user: message 302") or after == "user: message 302"
    assert len(await remembered(short)) == 6
    assert [len(turns) for turns in await left(short)] == [598]


async def test_message_without_a_change_and_what_nobody_else_may_change_stay_as_they_are(
    store: Store, chat: Told
) -> None:
    bob = Speaker("bob", "Bob")
    async with working(store, chat.deliver):
        await say(store, chat, event(1), event(2))
        before = await remembered(store)
        edits = [
            changed(3, 1, "message 1"),
            changed(4, 1, "hijacked", bob),
            changed(5, 2, "hijacked", bob),
            changed(6, 99, "not remembered"),
        ]
        assert await say(store, chat, *edits) == ["", "", "", ""]
    assert await remembered(store) == before
    assert await left(store) == []


async def test_message_that_was_left_is_not_changed_any_more(store: Store, chat: Told) -> None:
    async with working(store, chat.deliver):
        await say(store, chat, event(1), event(2), changed(3, 1, "other words"))
        assert await say(store, chat, changed(4, 2, "too late")) == [""]
    assert await remembered(store) == ["other words", "You said: other words"]


async def test_answers_that_were_left_say_why_they_stay_as_they_are(store: Store, chat: Told) -> None:
    def pressed(number: int, on: int) -> Event:
        return event(number, "regenerate", kind="act", target=f"message-{event(on).id}")

    async with working(store, chat.deliver):
        await say(store, chat, event(1), event(2), event(3), changed(4, 2, "other words"), event(5))
        told = await say(store, chat, pressed(6, 3), pressed(7, 1), pressed(8, 99))
    assert told == [notices.LEFT_BEHIND, notices.NOT_THE_NEWEST, notices.NOT_REMEMBERED]


async def test_undo_takes_back_the_changed_message_and_brings_nothing_back(store: Store, chat: Told) -> None:
    async with working(store, chat.deliver):
        await say(store, chat, event(1), event(2), event(3), changed(4, 2, "other words"))
        assert await say(store, chat, event(5, kind="undo")) == [notices.UNDONE]
        assert await remembered(store) == ["message 1", "You said: message 1"]
        await say(store, chat, event(6))
    assert [turn.number for turn in await store.memory.turns(TALK, 10)] == [1, 2, 3, 4]
    assert [turns[0] for turns in await left(store)] == ["message 2"]


async def test_reset_forgets_what_was_left_too(store: Store, chat: Told) -> None:
    async with working(store, chat.deliver):
        await say(store, chat, event(1), event(2), changed(3, 1, "other words"), event(4, kind="reset"))
    assert await remembered(store) == []
    assert await left(store) == []


async def test_each_change_leaves_a_branch_of_its_own(store: Store, chat: Told) -> None:
    async with working(store, chat.deliver):
        await say(store, chat, event(1), event(2), changed(3, 1, "one"), event(4), changed(5, 1, "two"))
    assert [turns[::2] for turns in await left(store)] == [["message 1", "message 2"], ["one", "message 4"]]
    _, answer = await store.memory.turns(TALK, 10)
    assert [version.text for version in answer.versions] == ["You said: message 1", "You said: one"]


async def test_command_tells_of_branches_and_numbers_count_them(store: Store, chat: Told) -> None:
    async with working(store, chat.deliver):
        await say(store, chat, event(1), event(2), changed(3, 1, "other words"))
        told, numbers = await say(
            store, chat, event(4, "export", kind="command"), event(5, "stats", kind="command")
        )
    kept, _, gone = told.partition(f"\n\n{notices.BRANCH}\n\n")
    assert [line for line in kept.splitlines() if "**" not in line and line] == [
        "other words",
        "You said: other words",
    ]
    assert "message 1" in gone and "You said: message 2" in gone
    assert "6 messages" in numbers


async def test_worker_that_takes_over_branches_once(short: Store, chat: Told) -> None:
    words = " ".join(f"word{number}" for number in range(60))
    async with working(short, chat.deliver):
        await say(short, chat, event(1), event(2))
    edit = changed(3, 1, words)
    async with working(short, chat.deliver, ScriptedEngine(delay=0.02)):
        await short.inbox.accept(edit)
        await chat.until(lambda chat: "word3" in chat.texts.get(edit.id, ""))
    async with working(short, chat.deliver, ScriptedEngine(delay=0.02)):
        await chat.until(lambda chat: f"You said: {words}" in chat.finished)
    assert await remembered(short) == [words, f"You said: {words}"]
    assert [len(turns) for turns in await left(short)] == [4]


async def test_change_that_is_declined_changes_nothing(store: Store, chat: Told) -> None:
    extension = Extension()

    @extension.before
    async def polite(_event: Event, text: str) -> str:
        if "rude" in text:
            raise Declined("Not like that.")
        return text

    async with working(store, chat.deliver, extensions=[extension]):
        await say(store, chat, event(1), event(2))
        before = await remembered(store)
        [told] = await say(store, chat, changed(3, 1, "rude"))
        assert told == "You said: message 1\n\nNot like that."
        assert await remembered(store) == before
        await say(store, chat, event(4))
    assert len(await remembered(store)) == 6
    assert await left(store) == []


async def test_what_a_hook_has_made_of_a_message_does_not_change_it(store: Store, chat: Told) -> None:
    extension = Extension()

    @extension.before
    async def loud(_event: Event, text: str) -> str:
        return text.upper()

    async with working(store, chat.deliver, extensions=[extension]):
        await say(store, chat, event(1), event(2, "QUIET"))
        before = await remembered(store)
        assert await say(store, chat, changed(3, 1, "message 1")) == [""]
        assert await remembered(store) == before
        await say(store, chat, changed(4, 1, "other words"), event(5))
        assert await say(store, chat, changed(6, 1, "other words")) == [""]
        await say(store, chat, changed(7, 1, "OTHER WORDS"))
    assert [turns[::2] for turns in await left(store)] == [["MESSAGE 1", "QUIET"], ["OTHER WORDS", "MESSAGE 5"]]
    [[first, _, second, _], _] = await store.memory.branches(TALK)
    assert (len(first.said), second.said) == (64, ""), "a digest, and only where it is needed"


async def test_model_that_fails_half_way_branches_with_what_was_written(short: Store, chat: Told) -> None:
    async with working(short, chat.deliver):
        await say(short, chat, event(1), event(2), event(3))
    async with working(short, chat.deliver, Broken("Well,")):
        await say(short, chat, changed(4, 2, "other words"))
    assert await remembered(short) == ["message 1", "You said: message 1", "other words", "Well,"]
    assert [len(turns) for turns in await left(short)] == [4]
    async with working(short, chat.deliver, Wide(), dialogue=ROOMY):
        [told] = await say(short, chat, event(5))
    assert told.endswith("user: other words | assistant: Well, | user: message 5")


async def test_summary_that_tells_of_what_was_left_goes(store: Store, chat: Told) -> None:
    clerk = Clerk("Ann likes tea.")
    clerk.may_write.set()
    async with working(store, chat.deliver, clerk, dialogue=FOLDING):
        await say_ten(store, chat, 1, 2, 3, 4)
        assert (await until_summarised(store)).upto == FOLDED
        await say_ten(store, chat, 5, 6)
        assert "Ann likes tea." in clerk.prompts[-1]
        clerk.may_write.clear()
        await say(store, chat, changed(7, 2, TEN + " more"))
        assert clerk.prompts[-1] == "Be kind."
        assert await store.memory.summary(TALK) == Summary()
        clerk.may_write.set()
        await say_ten(store, chat, 8, 9, 10)
        assert (await until_summarised(store)).upto <= 10
    newest = clerk.summarised[-1]
    assert newest.count("Ann: ") * 2 == (await store.memory.summary(TALK)).upto
    assert f"{TEN} more" in newest


async def test_summary_of_what_came_before_stays(store: Store, chat: Told) -> None:
    clerk = Clerk("Ann likes tea.")
    clerk.may_write.set()
    async with working(store, chat.deliver, clerk, dialogue=FOLDING):
        await say_ten(store, chat, 1, 2, 3, 4)
        await until_summarised(store)
        await say_ten(store, chat, 5, 6)
        clerk.may_write.clear()
        await say(store, chat, changed(7, 4, TEN))  # nothing
        await say(store, chat, changed(8, 4, "ten"))
        assert clerk.prompts[-1] == "Be kind.\n\nEarlier in this conversation: Ann likes tea."
        assert (await store.memory.summary(TALK)).upto == FOLDED


async def test_fold_that_was_asked_for_before_is_not_written_of_turns_that_are_gone(
    store: Store, chat: Told
) -> None:
    async with working(store, chat.deliver):
        await say(store, chat, *(event(number) for number in (1, 2, 3, 4)))
        fold = await eventually(lambda: store.folds.take(TALK, 6))
        await say(store, chat, changed(5, 2, "other words"))
        assert isinstance(fold, Fold)
        assert not await store.folds.write(fold, "Of what was left.")
        await store.folds.release(fold)
        again = await eventually(lambda: store.folds.take(TALK, 4))
        assert isinstance(again, Fold)
        await store.folds.release(again)
        assert await store.folds.take(TALK, 6) is None, "there are only four turns now"
    assert await store.memory.summary(TALK) == Summary()


async def test_votes_under_answers_that_were_left_are_kept(store: Store, chat: Told) -> None:
    async with working(store, chat.deliver):
        await say(store, chat, event(1), event(2), changed(3, 1, "other words"))
    voted = await store.votes.cast(TALK, f"message-{event(2).id}", "bob", 1)
    assert voted is not None

    def votes(turns: Sequence[Turn]) -> list[tuple[tuple[str, int], ...]]:
        return [turn.votes for turn in turns]

    [branch] = await store.memory.branches(TALK)
    assert votes(branch) == [(), (), (), (("bob", 1),)]
    assert votes(await store.memory.turns(TALK, 9)) == [(), ()]
