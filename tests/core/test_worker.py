"""A turn's life in the worker, on a real store, with a room that shows what it is told to."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from core import notices
from core.dialogue import DialogueSettings
from core.engine.scripted import ScriptedEngine
from core.errors import CoreError, EngineError, PromptTooLong
from core.store.aside import Aside
from core.store.client import StoreSettings
from core.store.forget import Forget
from core.store.store import Store, open_store
from core.turns import Conversation, Event, Reply
from core.worker import Ended, Worker, WorkerSettings
from tests.core.rooms import ROOM, TALK, Broken, Chat, Mirror, event, remembered, working
from tests.core.store.steps import eventually


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


async def test_what_we_say_ourselves_is_in_the_persons_language(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver):
        await store.inbox.accept(event(1, kind="reset", locale="de"))
        await store.inbox.accept(event(2, " ", files=("voice",), locale="es-419"))
        await store.inbox.accept(event(3, kind="persona", locale="zh-CN"))
        assert await chat.until_finished(3) == [
            "Ich habe dieses Gespräch vergessen. Wir fangen neu an.",
            "Por ahora solo puedo leer texto, no mensajes de voz. Dilo con palabras, por favor.",
            "从现在起，我在这里对所有人都按这个人设说话。",
        ]
        await store.inbox.accept(event(4, " ", kind="help", locale="de-AT"))
        assert "`/help`: Was ich kann" in (await chat.until_finished(4))[3]


async def test_help_is_said_while_an_answer_is_being_written(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver, ScriptedEngine(delay=0.02)):
        await store.inbox.accept(event(1, "word " * 1000))
        await chat.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
        await store.inbox.accept(event(2, " ", kind="help"))
        assert "/reset" in (await chat.until_finished(1))[0]


@pytest.mark.parametrize(
    ("text", "answer", "there"),
    [
        ("when_busy collect", notices.SET, {"when_busy": "collect"}),
        ("when_busy", notices.SET, {}),
        ("when_busy sometimes", notices.NO_SETTING, {"when_busy": "interrupt"}),
        ("server 7", notices.NO_SETTING, {"when_busy": "interrupt"}),
    ],
)
async def test_only_what_there_is_can_be_set_for_a_place(
    store: Store, text: str, answer: str, there: dict[str, str]
) -> None:
    chat, asks = Chat(), event(1, text, kind="setting")
    await store.places.put(asks.conversation, "when_busy", "interrupt")
    async with working(store, chat.deliver, ScriptedEngine()):
        await store.inbox.accept(asks)
        assert await chat.until_finished(1) == [answer]
    assert await store.places.of(asks.conversation) == there


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
    text = " ".join(f"word{number}" for number in range(400))
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


async def test_turn_that_is_ended_by_a_lost_lease_is_watched_as_one(store_settings: StoreSettings) -> None:
    slow, quick = Chat(), Chat()
    ends: asyncio.Queue[str] = asyncio.Queue()

    @contextmanager
    def watch(_event: Event) -> Iterator[Ended]:
        yield ends.put_nowait

    async with (
        open_store(store_settings, lease=0.2, beat_every=1.0) as forgetful,
        open_store(store_settings, lease=0.5, beat_every=0.1) as other,
        working(forgetful, slow.deliver, ScriptedEngine(delay=60.0), watch=watch),
    ):
        await forgetful.inbox.accept(event(1))
        await slow.until(lambda chat: bool(chat.texts))
        async with working(other, quick.deliver), asyncio.timeout(20):
            assert await ends.get() == "lost"


async def test_what_a_worker_without_its_lease_may_have_overwritten_is_shown_again(
    store_settings: StoreSettings,
) -> None:
    slow, quick = Chat(), Chat()
    again = f"{event(1).id}:1:show"
    async with (
        open_store(store_settings, lease=0.2, beat_every=60.0) as forgetful,
        open_store(store_settings, lease=0.5, beat_every=0.1) as other,
        working(forgetful, slow.deliver, ScriptedEngine(delay=2.0), WorkerSettings(concurrency=1)),
    ):
        await forgetful.inbox.accept(event(1))
        await slow.until(lambda chat: bool(chat.texts))
        async with working(other, quick.deliver):
            await quick.until_finished(1)
            await other.inbox.accept(event(2))
            await quick.until(
                lambda chat: (
                    chat.texts.get(again) == "You said: message 1" and "You said: message 2" in chat.finished
                )
            )
        assert await remembered(other) == ["message 1", "You said: message 1", "message 2", "You said: message 2"]


async def test_nothing_is_kept_of_what_is_forgotten_while_it_is_answered(store_settings: StoreSettings) -> None:
    chat = Chat()
    async with (
        open_store(store_settings, lease=60.0, beat_every=0.05) as store,
        working(store, chat.deliver, ScriptedEngine(delay=0.5)) as worker,
    ):
        await store.inbox.accept(event(1))
        await chat.until(lambda chat: bool(chat.texts))
        assert await Forget(store.client, store.inbox).conversation(TALK)
        await eventually(lambda: is_idle(worker))
        other = replace(event(2), conversation=Conversation("test/bot/other"))
        await store.inbox.accept(other)
        await chat.until(lambda chat: bool(chat.finished))
        await asyncio.sleep(0.5)
        kept = store.client.keys.of(TALK, "c", "q", "t", "r")
        assert [await store.client.ask("EXISTS", key, key=key) for key in kept] == [0, 0, 0, 0]


async def is_idle(worker: Worker) -> bool:
    return not worker._running


async def test_stop_before_the_first_word_is_answered_and_remembered(store: Store) -> None:
    chat = Chat()
    await store.inbox.accept(event(1))
    await store.inbox.accept(event(2, " ", kind="stop"))
    async with working(store, chat.deliver):
        assert await chat.until_finished(1) == [notices.STOPPED]
        await store.inbox.accept(event(3))
        assert (await chat.until_finished(2))[1] == "You said: message 3"
    assert await remembered(store) == ["message 1", "", "message 3", "You said: message 3"]


@pytest.fixture
async def elsewhere(store_settings: StoreSettings) -> AsyncIterator[Store]:
    """Another process's view of the store. No lease ends by itself while a test lasts."""
    async with open_store(store_settings, lease=60.0, beat_every=0.05) as opened:
        yield opened


@pytest.fixture
async def here(store_settings: StoreSettings) -> AsyncIterator[Store]:
    async with open_store(store_settings, lease=60.0, beat_every=0.05) as opened:
        yield opened


async def until_seen(store: Store, *platforms: str) -> None:
    """Another worker is there, for these platforms."""

    async def seen() -> bool:
        return frozenset(platforms) in await store.fleet.others()

    await eventually(seen)


async def until_gone(store: Store) -> None:
    """No other worker is there any more."""

    async def gone() -> bool:
        return await store.fleet.others() == []

    await eventually(gone)


async def test_drained_worker_hands_over_and_the_other_goes_on_in_the_same_message(
    here: Store, elsewhere: Store
) -> None:
    text = " ".join(
        f"word{number}" for number in range(1000)
    )  # longer than it takes to hand it over on any machine
    first, second, messages = Chat(), Chat(), set[str]()

    async def deliver(asked: Event, reply: Reply) -> None:
        messages.update(part.message for part in reply.parts if part.message)
        await second.deliver(asked, reply)

    async with working(here, first.deliver, ScriptedEngine(delay=0.02)) as worker:
        await here.inbox.accept(event(1, text))
        await first.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
        async with working(elsewhere, deliver):
            await until_seen(here, "test")
            await worker.drain(10, patience=10)
            shown = first.texts[event(1).id]
            assert await second.until_finished(1) == [f"You said: {text}"]
    assert first.finished == []
    assert "word999" not in shown
    assert messages == {f"message-{event(1).id}"}
    assert await remembered(here) == [text, f"You said: {text}"]


async def test_reply_is_not_handed_over_while_its_message_is_on_its_way(
    here: Store, elsewhere: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.worker._ANSWER_SECONDS", 20.0)  # a busy machine is late
    monkeypatch.setattr("core.answer.ARRIVES_WITHIN", 20.0)
    asked_for, may_arrive, sent = asyncio.Event(), asyncio.Event(), list[str]()

    async def slow(asked: Event, reply: Reply) -> None:
        async for draft in reply:
            if draft.text and not reply.parts:
                await reply.showing(0, draft.text, len(draft.text))
                asked_for.set()
                await may_arrive.wait()
                sent.append("first")
                await reply.shown(0, "m1")

    async def second(asked: Event, reply: Reply) -> None:
        sent.extend(part.message or "unknown" for part in reply.parts)
        await chat.deliver(asked, reply)

    chat = Chat()
    async with working(here, slow, ScriptedEngine(delay=0.02)) as worker:
        await here.inbox.accept(event(1, "word " * 1000))  # longer than it takes to hand it over on any machine
        await asked_for.wait()
        async with working(elsewhere, second), asyncio.TaskGroup() as group:
            await until_seen(here, "test")
            group.create_task(worker.drain(10))
            await until_gone(elsewhere)
            may_arrive.set()
            await chat.until_finished(1)
    assert sent == ["first", "m1"]


async def test_drained_worker_that_is_alone_lets_its_reply_end(here: Store) -> None:
    chat = Chat()
    async with working(here, chat.deliver, ScriptedEngine(delay=0.02)) as worker:
        await here.inbox.accept(event(1, "one two three four five six"))
        await chat.until(lambda chat: "one" in chat.texts.get(event(1).id, ""))
        await worker.drain(10, patience=20)
        assert chat.finished == ["You said: one two three four five six"]


async def test_worker_for_other_platforms_is_not_counted_on(here: Store, elsewhere: Store) -> None:
    chat = Chat()
    async with (
        working(here, chat.deliver, ScriptedEngine(delay=0.02)) as worker,
        working(elsewhere, {"other": Chat().deliver}),
    ):
        await here.inbox.accept(event(1, "word " * 1000))
        await chat.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
        await until_seen(here, "other")
        await worker.drain(10)
        assert chat.finished[0].endswith(notices.SHUTDOWN)


async def test_of_workers_that_are_stopped_together_one_says_the_word(here: Store, elsewhere: Store) -> None:
    chat = Chat()
    async with (
        working(here, chat.deliver, ScriptedEngine(delay=0.02)) as first,
        working(elsewhere, chat.deliver, ScriptedEngine(delay=0.02)) as second,
        asyncio.TaskGroup() as group,
    ):
        await until_seen(here, "test")
        await until_seen(elsewhere, "test")
        await here.inbox.accept(event(1, "word " * 1000))
        await chat.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
        group.create_task(first.drain(10))
        group.create_task(second.drain(10))
        [finished] = await chat.until_finished(1)
    assert finished.endswith(notices.SHUTDOWN)


async def test_what_cannot_be_delivered_in_time_is_given_back_at_once(
    here: Store, elsewhere: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.worker._GIVE_BACK_SECONDS", 20.0)  # a busy machine is late

    async def hang(text: str) -> None:
        if notices.SHUTDOWN in text:
            await asyncio.Event().wait()

    stuck, successor = Chat(hang), Chat()
    async with working(here, stuck.deliver, ScriptedEngine(delay=0.02)) as worker:
        await here.inbox.accept(event(1, "word " * 1000))
        await stuck.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
        await worker.drain(1.0)
    async with working(elsewhere, successor.deliver):
        [finished] = await successor.until_finished(1)
    assert finished.endswith(notices.SHUTDOWN)


async def kill_worker(store: Store, *, words: int) -> str:
    """One more worker takes the message, and is killed before its first word or when it has shown one more. What
    it showed."""
    begun, chat = asyncio.Event(), Chat()

    async def deliver(asked: Event, reply: Reply) -> None:
        begun.set()
        if words:
            await chat.deliver(asked, reply)
        await asyncio.Event().wait()

    async with working(store, deliver, ScriptedEngine(delay=60.0)):
        async with asyncio.timeout(20):
            await begun.wait()
        if words:
            await chat.until(lambda chat: bool(chat.texts))
    return "".join(chat.texts.values())


async def test_message_that_kills_its_workers_is_set_aside_and_answered_when_it_is_retried(short: Store) -> None:
    aside, chat = Aside(short.client, short.inbox), Chat()
    await short.inbox.accept(event(1, "deadly"))
    await short.inbox.accept(event(2, "harmless"))
    for _ in range(3):
        await kill_worker(short, words=0)
    async with working(short, chat.deliver):
        assert await chat.until_finished(2) == [CoreError.reply, "You said: harmless"]
        [entry] = await aside.all()
        assert (entry.event, entry.tries) == (event(1, "deadly"), 4)
        await aside.retry(entry)
        assert (await chat.until_finished(3))[-1] == "You said: deadly"
    assert await aside.all() == []


async def test_message_that_gets_on_from_worker_to_worker_is_not_set_aside(short: Store) -> None:
    chat = Chat()
    await short.inbox.accept(event(1, "one two three four five"))
    shown = [await kill_worker(short, words=1) for _ in range(5)]
    async with working(short, chat.deliver):
        assert await chat.until_finished(1) == ["You said: one two three four five"]
    assert shown == ["You ", "You said: ", "You said: one ", "You said: one two ", "You said: one two three "]
    assert await Aside(short.client, short.inbox).all() == []


async def test_reply_that_waits_for_its_platform_is_not_set_aside_when_workers_die(short: Store) -> None:
    await short.inbox.accept(event(1, "patient"))
    for _ in range(4):
        begun = asyncio.Event()

        async def waits(_asked: Event, reply: Reply, begun: asyncio.Event = begun) -> None:
            async for draft in reply:
                if draft.final:
                    begun.set()
                    await asyncio.Event().wait()

        async with working(short, waits), asyncio.timeout(20):
            await begun.wait()
            await asyncio.sleep(3.5 * short.claims.beat_every)
    chat = Chat()
    async with working(short, chat.deliver):
        assert await chat.until_finished(1) == ["You said: patient"]
    assert await Aside(short.client, short.inbox).all() == []


async def test_message_whose_tries_all_fail_is_set_aside_too(store: Store) -> None:
    chat, tries = Chat(), list[str]()

    async def fails(asked: Event, reply: Reply) -> None:
        if asked.id == event(1).id:
            tries.append(asked.id)
            raise ZeroDivisionError
        await chat.deliver(asked, reply)

    async with working(store, fails, ScriptedEngine(delay=0.01)):
        await store.inbox.accept(event(1))
        await store.inbox.accept(event(2))
        await chat.until_finished(1)
    assert {entry.event.id for entry in await Aside(store.client, store.inbox).all()} == {event(1).id}
