"""A turn's life in the worker, on a real store, with a room that shows what it is told to."""

import asyncio

import pytest

from core import notices
from core.dialogue import DialogueSettings
from core.engine.scripted import ScriptedEngine
from core.errors import EngineError, PromptTooLong
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from core.turns import Conversation
from core.worker import WorkerSettings
from tests.core.rooms import ROOM, Broken, Chat, Mirror, event, remembered, working


async def test_message_is_answered_and_both_are_remembered(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver):
        assert await store.inbox.accept(event(1))
        assert await chat.until_finished(1) == ["You said: message 1"]
    assert await remembered(store) == ["message 1", "You said: message 1"]


async def test_messages_are_answered_in_order_and_once(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver):
        for number in range(1, 11):
            await store.inbox.accept(event(number))
            await store.inbox.accept(event(number))
        finished = await chat.until_finished(10)
    assert finished == [f"You said: message {number}" for number in range(1, 11)]


async def test_model_sees_persona_history_and_the_new_message(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver, Mirror()):
        await store.inbox.accept(event(1, "one"))
        await store.inbox.accept(event(2, "two"))
        first, second = await chat.until_finished(2)
    assert first == "system: Be kind. | user: one"
    assert second == f"system: Be kind. | user: one | assistant: {first} | user: two"


async def test_persona_holds_for_the_place_and_empty_brings_the_default_back(store: Store) -> None:
    chat = Chat()
    thread = Conversation.of(ROOM, "chat", "thread")
    async with working(store, chat.deliver, Mirror()):
        await store.inbox.accept(event(1, "Be bold.", kind="persona"))
        await chat.until_finished(1)
        await store.inbox.accept(event(2, "hi", conversation=thread))
        await chat.until_finished(2)
        await store.inbox.accept(event(3, " ", kind="persona"))
        await store.inbox.accept(event(4, "hi"))
        finished = await chat.until_finished(4)
    assert finished == [
        notices.PERSONA_SET,
        "system: Be bold. | user: hi",
        notices.PERSONA_DEFAULT,
        "system: Be kind. | user: hi",
    ]


async def test_reset_forgets_what_came_before(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver):
        await store.inbox.accept(event(1))
        await store.inbox.accept(event(2, kind="reset"))
        await store.inbox.accept(event(3))
        assert (await chat.until_finished(3))[1] == notices.RESET
    assert await remembered(store) == ["message 3", "You said: message 3"]


async def test_help_is_said_while_an_answer_is_being_written(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver, ScriptedEngine(delay=0.02)):
        await store.inbox.accept(event(1, "word " * 1000))
        await chat.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
        await store.inbox.accept(event(2, " ", kind="help"))
        assert "/reset" in (await chat.until_finished(1))[0]


@pytest.mark.parametrize(
    ("files", "answer"), [((), notices.EMPTY), (("image",), notices.NOT_TEXT.format(files="images"))]
)
async def test_message_without_words_gets_an_honest_sentence(
    store: Store, files: tuple[str, ...], answer: str
) -> None:
    chat = Chat()
    async with working(store, chat.deliver):
        await store.inbox.accept(event(1, " ", files=files))
        assert await chat.until_finished(1) == [answer]
    assert await remembered(store) == []


async def test_message_too_long_for_the_model_is_told_and_not_remembered(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver, Mirror()):
        await store.inbox.accept(event(1, "word " * 100))
        await store.inbox.accept(event(2, "short"))
        finished = await chat.until_finished(2)
    assert finished == [PromptTooLong.reply, "system: Be kind. | user: short"]


async def test_window_is_as_short_after_many_turns_as_after_few(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver, Mirror(), dialogue=DialogueSettings(persona="Be kind.", window=40)):
        for number in range(1, 31):
            await store.inbox.accept(event(number, "hi"))
            await chat.until_finished(number)
    assert all(len(text.split()) < 120 for text in chat.finished)
    assert "user: hi" in chat.finished[-1]


async def test_engine_that_fails_at_once_is_apologised_for(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver, Broken("")):
        await store.inbox.accept(event(1))
        assert await chat.until_finished(1) == [EngineError.reply]
    assert await remembered(store) == []


async def test_engine_that_fails_half_way_leaves_what_was_written(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver, Broken("Half an")):
        await store.inbox.accept(event(1))
        assert await chat.until_finished(1) == [notices.under("Half an", f"_{EngineError.reply}_")]
    assert await remembered(store) == ["message 1", "Half an"]


async def test_stop_ends_the_answer_and_not_the_next(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver, ScriptedEngine(delay=0.02)):
        await store.inbox.accept(event(1, "word " * 1000))
        await store.inbox.accept(event(2))
        await chat.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
        await store.inbox.accept(event(3, kind="stop"))
        stopped, after = await chat.until_finished(2)
    assert stopped.endswith(notices.STOPPED)
    assert after == "You said: message 2"
    written = (await remembered(store))[1]
    assert notices.STOPPED not in written
    assert stopped.startswith(written.rstrip())


async def test_drain_ends_what_is_being_written_and_says_so(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver, ScriptedEngine(delay=0.02)) as worker:
        await store.inbox.accept(event(1, "word " * 1000))
        await chat.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
        await worker.drain(10)
        assert chat.finished[0].endswith(notices.SHUTDOWN)
        await store.inbox.accept(event(2))
    assert len(chat.finished) == 1


@pytest.mark.parametrize("words", [1, 3, 30])
async def test_next_worker_goes_on_in_the_same_message_from_the_word_last_shown(short: Store, words: int) -> None:
    text = " ".join(f"word{number}" for number in range(40))
    killed, successor = Chat(), Chat()
    async with working(short, killed.deliver, ScriptedEngine(delay=0.01)):
        await short.inbox.accept(event(1, text))
        await killed.until(lambda chat: len(chat.texts.get(event(1).id, "").split()) >= words)
    async with working(short, successor.deliver, ScriptedEngine()):
        assert await successor.until_finished(1) == [f"You said: {text}"]
    assert await remembered(short) == [text, f"You said: {text}"]


async def test_next_worker_only_delivers_what_is_complete(short: Store) -> None:
    complete = asyncio.Event()

    async def hang_at_the_end(text: str) -> None:
        if text.endswith("message 1"):
            complete.set()
            await asyncio.Event().wait()

    successor = Chat()
    async with working(short, Chat(hang_at_the_end).deliver, ScriptedEngine(delay=0.01)):
        await short.inbox.accept(event(1))
        await complete.wait()
        async with asyncio.timeout(10):
            while not await remembered(short):  # noqa: ASYNC110 - the store is all that can be asked
                await asyncio.sleep(0.01)
    async with working(short, successor.deliver, Broken("")):
        assert await successor.until_finished(1) == ["You said: message 1"]
    assert await remembered(short) == ["message 1", "You said: message 1"]


async def test_worker_that_has_lost_its_lease_finishes_nothing(store_settings: StoreSettings) -> None:
    slow, quick = Chat(), Chat()
    async with (
        open_store(store_settings, lease=0.2, beat_every=60.0) as forgetful,
        open_store(store_settings, lease=0.5, beat_every=0.1) as other,
        working(forgetful, slow.deliver, ScriptedEngine(delay=60.0), WorkerSettings(concurrency=1)),
    ):
        await forgetful.inbox.accept(event(1))
        await slow.until(lambda chat: bool(chat.texts))
        async with working(other, quick.deliver):
            assert await quick.until_finished(1) == ["You said: message 1"]
    assert slow.finished == []


async def test_stop_before_the_first_word_is_answered_and_remembered(store: Store) -> None:
    chat = Chat()
    await store.inbox.accept(event(1))
    await store.inbox.accept(event(2, " ", kind="stop"))
    async with working(store, chat.deliver):
        assert await chat.until_finished(1) == [notices.STOPPED]
        await store.inbox.accept(event(3))
        assert (await chat.until_finished(2))[1] == "You said: message 3"
    assert await remembered(store) == ["message 1", "", "message 3", "You said: message 3"]
