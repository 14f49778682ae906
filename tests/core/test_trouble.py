"""What a worker does when something goes wrong: a model, a room, a record, or its own end within a step."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core import notices
from core.dialogue import DialogueSettings
from core.engine.engine import NOBODY, Caller, Completion, Delta, Message, Params
from core.engine.scripted import ScriptedEngine
from core.errors import CoreError, EngineError, Overloaded, PromptTooLong, Refused
from core.extension import Extension
from core.files.reader import FileSettings, Reader
from core.store.store import Store
from core.turns import Attachment, Conversation, Event, Reply, Room
from core.worker import WorkerSettings
from tests.core.rooms import ROOM, TALK, Broken, Chat, Mirror, Told, event, remembered, working
from tests.core.store.steps import eventually

REFUSAL = Refused("test", "not a member any more", fix="Invite the bot again.")


class Stuck(Mirror):
    """An engine that says `text`, and then no more. Leaving it takes until `may_end`."""

    def __init__(self, text: str = "") -> None:
        self.ending = asyncio.Event()
        self.may_end = asyncio.Event()
        self._text = text

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        async def deltas() -> AsyncIterator[Delta]:
            if self._text:
                yield Delta(self._text)
            await asyncio.Event().wait()

        try:
            yield Told(deltas())
        finally:
            self.ending.set()
            await self.may_end.wait()


class Late(Mirror):
    """An engine that waits before its first word, and as long before its last."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        async def deltas() -> AsyncIterator[Delta]:
            await asyncio.sleep(self._seconds)
            yield Delta("All of ")
            await asyncio.sleep(self._seconds)
            yield Delta("it.", finish="stop")

        yield Told(deltas())


class Anew(Mirror):
    """An engine that cannot go on with an unfinished answer."""

    continues = False

    sees = False
    tools = False
    context = 5000


class Strict(Mirror):
    """An engine whose server counts a third more than it does itself."""

    context = 5000
    limit = 40

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        if self.count(messages) * 4 // 3 > self.limit:
            raise PromptTooLong("more than the server reads")
        async with super().generate(messages, params, caller) as told:
            yield told


class Poisoned(Mirror):
    """An engine that cannot even count the words of message 1."""

    def count(self, messages: Sequence[Message]) -> int:
        if any("message 1" in message.text for message in messages):
            raise ZeroDivisionError
        return super().count(messages)


class Ending(Mirror):
    """An engine that tells when it has ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        async def deltas() -> AsyncIterator[Delta]:
            yield Delta("All of ")
            await asyncio.sleep(0)
            yield Delta("it.", finish="stop")

        yield Told(deltas())
        self.ended.set()


async def test_drain_while_the_model_winds_up_after_its_time_is_harmless(store: Store) -> None:
    chat, engine = Chat(), Stuck("Once")
    async with (
        working(store, chat.deliver, engine, WorkerSettings(turn_seconds=0.05)) as worker,
        asyncio.TaskGroup() as group,
    ):
        await store.inbox.accept(event(1))
        await engine.ending.wait()
        group.create_task(worker.drain(10))
        engine.may_end.set()
        assert (await chat.until_finished(1))[0].startswith("Once\n\n")


async def test_model_that_does_not_begin_in_time_is_overloaded_and_nothing_is_remembered(store: Store) -> None:
    chat, engine = Chat(), Stuck()
    engine.may_end.set()
    async with working(store, chat.deliver, engine, WorkerSettings(turn_seconds=0.05)):
        await store.inbox.accept(event(1))
        assert await chat.until_finished(1) == [Overloaded.reply]
    assert await remembered(store) == []


async def test_time_spent_in_line_is_not_taken_from_the_writing(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver, Late(2.5), WorkerSettings(turn_seconds=4.8)):
        await store.inbox.accept(event(1))
        assert await chat.until_finished(1) == ["All of it."]


async def test_file_that_takes_all_of_the_time_is_said_to_be_left_out(store: Store, tmp_path: Path) -> None:
    @asynccontextmanager
    async def fetch(_attachment: Attachment) -> AsyncIterator[AsyncIterator[bytes]]:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"It begins"
            await asyncio.Event().wait()

        yield chunks()

    chat, reader = Chat(), Reader(FileSettings(folder=tmp_path), {"test": fetch})
    sent = event(1, " ", files=("file",), attachments=(Attachment(kind="file", name="slow.txt"),))
    async with working(store, chat.deliver, settings=WorkerSettings(turn_seconds=0.1), reader=reader):
        await store.inbox.accept(sent)
        assert await chat.until_finished(1) == ["_`slow.txt`: it took too long to fetch._"]
    assert await remembered(store) == []


async def test_message_that_comes_during_a_drain_is_left_to_the_next_worker(store: Store) -> None:
    may_end = asyncio.Event()

    async def hang_at_the_end(text: str) -> None:
        if notices.SHUTDOWN in text:
            await may_end.wait()

    first, second, elsewhere = Chat(hang_at_the_end), Chat(), Conversation.of(ROOM, "elsewhere")
    async with working(store, first.deliver, ScriptedEngine(delay=0.02)) as worker, asyncio.TaskGroup() as group:
        await store.inbox.accept(event(1, "word " * 1000))
        await first.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
        group.create_task(worker.drain(20))
        await asyncio.sleep(0)
        await store.inbox.accept(event(2, conversation=elsewhere))
        async with working(store, second.deliver):
            assert await second.until_finished(1) == ["You said: message 2"]
        may_end.set()
    assert event(2).id not in first.texts


async def test_room_that_refuses_for_good_is_let_be_and_the_next_message_answered(store: Store) -> None:
    async def refuse_the_first(text: str) -> None:
        if "message 1" in text:
            raise REFUSAL

    chat = Chat(refuse_the_first)
    async with working(store, chat.deliver):
        await store.inbox.accept(event(1))
        await store.inbox.accept(event(2))
        assert await chat.until_finished(1) == ["You said: message 2"]


async def test_answer_whose_end_is_refused_is_remembered_as_it_stands_in_the_room(store: Store) -> None:
    standing: list[str] = []
    chat = Chat()

    async def deliver(asked: Event, reply: Reply) -> None:
        if asked.id != event(1).id:
            await chat.deliver(asked, reply)
            return
        async for draft in reply:
            if "three" in draft.text and not draft.final:
                continue  # too quick for this room
            await reply.showing(0, draft.text, len(draft.text), final=draft.final)
            if draft.final:
                raise REFUSAL
            standing.append(draft.text)
            await reply.shown(0, "message")

    async with working(store, deliver, ScriptedEngine(delay=0.02)):
        await store.inbox.accept(event(1, "one two three"))
        await store.inbox.accept(event(2))
        await chat.until_finished(1)
    turns = await store.memory.turns(TALK, 100)
    assert "three" not in standing[-1]
    assert [turn.text for turn in turns[:2]] == ["one two three", standing[-1]]
    assert [turn.cut for turn in turns[:2]] == ["", "failed"]


async def test_refusal_while_the_answer_goes_into_memory_leaves_there_what_was_shown(store: Store) -> None:
    engine, chat = Ending(), Chat()

    async def deliver(asked: Event, reply: Reply) -> None:
        if asked.id != event(1).id:
            await chat.deliver(asked, reply)
            return
        await engine.ended.wait()
        raise REFUSAL

    async with working(store, deliver, engine):
        await store.inbox.accept(event(1))
        await store.inbox.accept(event(2))
        await chat.until_finished(1)
    assert await remembered(store) == ["message 1", "", "message 2", "All of it."]


async def test_room_that_refuses_an_answer_made_anew_keeps_the_first_one_in_memory(short: Store) -> None:
    text, killed, chat = "word " * 200, Chat(), Chat()

    async def refuse(asked: Event, reply: Reply) -> None:
        if asked.id == event(1).id:
            raise REFUSAL
        await chat.deliver(asked, reply)

    async with working(short, killed.deliver, ScriptedEngine(delay=0.02)):
        await short.inbox.accept(event(1, text))
        await killed.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
    await short.inbox.accept(event(2))
    async with working(short, refuse, Anew(), dialogue=DialogueSettings(persona="", window=5000)):
        await chat.until_finished(1)
    asked, answered, *_ = await remembered(short)
    assert asked == text
    assert answered.startswith(killed.texts[event(1).id])


async def test_delivery_that_fails_unforeseen_is_tried_again_and_then_given_up(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []
    chat = Chat()

    async def deliver(asked: Event, reply: Reply) -> None:
        if asked.id == event(1).id:
            tries.append(asked.id)
            raise ValueError(asked.text)
        await chat.deliver(asked, reply)

    async with working(store, deliver, ScriptedEngine(delay=0.01), WorkerSettings(retry_wait=0.0, tries=2)):
        await store.inbox.accept(event(1, "message 1 is long enough to be shown"))
        await store.inbox.accept(event(2))
        assert await chat.until_finished(1) == ["You said: message 2"]
    assert 2 <= len(tries) <= 4  # at most two to write, and two to deliver
    assert "given up" in caplog.text
    assert "ValueError" in caplog.text
    assert "message 1" not in caplog.text


async def test_message_that_nobody_can_answer_is_apologised_for_and_the_next_one_answered(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    chat = Chat()
    async with working(store, chat.deliver, Poisoned()):
        await store.inbox.accept(event(1))
        await store.inbox.accept(event(2))
        apology, answer = await chat.until_finished(2)
    assert apology == CoreError.reply
    assert answer == "system: Be kind. | user: message 2"
    assert "given up answering after 3 tries" in caplog.text


async def test_message_that_kills_each_worker_is_not_given_to_the_model_for_ever(store: Store) -> None:
    chat = Chat()
    await store.inbox.accept(event(1))
    for _ in range(2):
        [claim] = await store.claims.take(["test"], 1, wait=5.0)
        await store.claims.release(claim)
    async with working(store, chat.deliver, settings=WorkerSettings(most_claims=2)):
        assert await chat.until_finished(1) == [CoreError.reply]


async def test_next_worker_that_cannot_read_the_message_says_so_under_what_was_shown(short: Store) -> None:
    text, killed, successor = "word " * 200, Chat(), Chat()
    async with working(short, killed.deliver, ScriptedEngine(delay=0.02)):
        await short.inbox.accept(event(1, text))
        await killed.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
    async with working(short, successor.deliver, Broken("")):
        [finished] = await successor.until_finished(1)
    asked, answered = await remembered(short)
    assert asked == text
    assert answered.startswith(killed.texts[event(1).id])
    assert finished == notices.under(answered, f"_{PromptTooLong.reply}_")


async def test_answer_that_cannot_be_made_anew_goes_on_standing(store: Store) -> None:
    chat = Chat()
    async with working(store, chat.deliver) as worker:
        await store.inbox.accept(event(1))
        await chat.until_finished(1)
        await worker.drain(10)
    async with working(store, chat.deliver, Broken("")):
        await store.inbox.accept(event(2, "regenerate", kind="act"))
        told = (await chat.until_finished(2))[1]
    assert told == notices.under("You said: message 1", f"_{EngineError.reply}_")
    assert await remembered(store) == ["message 1", "You said: message 1"]


async def test_new_answer_that_the_room_refuses_leaves_the_one_that_stands_there_in_memory(store: Store) -> None:
    chat = Chat()

    async def deliver(asked: Event, reply: Reply) -> None:
        if asked.kind != "act":
            await chat.deliver(asked, reply)
            return
        async for draft in reply:
            if draft.text:
                await reply.showing(0, draft.text, len(draft.text), final=draft.final)
                raise REFUSAL

    async with working(store, deliver):
        await store.inbox.accept(event(1))
        await chat.until_finished(1)
        await store.inbox.accept(event(2, "regenerate", kind="act", target=f"message-{event(1).id}"))
        await store.inbox.accept(event(3))
        await chat.until_finished(2)
    assert (await remembered(store))[:2] == ["message 1", "You said: message 1"]


async def test_who_makes_a_command_that_fails_is_told(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    extension, chat = Extension(), Chat()

    @extension.command("fail", "Fails")
    async def fail(_event: Event, _rest: str) -> str:
        raise ValueError("not written well")

    async with working(store, chat.deliver, extensions=[extension]):
        await store.inbox.accept(event(1, "fail", kind="command"))
        assert await chat.until_finished(1) == [CoreError.reply]
    assert "ValueError" in caplog.text


@pytest.fixture
def loud() -> Extension:
    """Models and memory are to have every message in capitals."""
    extension = Extension()

    @extension.before
    async def in_capitals(_event: Event, text: str) -> str:
        return text.upper()

    return extension


async def test_memory_has_what_a_hook_has_made_of_a_message_also_where_the_model_fails(
    store: Store, loud: Extension
) -> None:
    chat = Chat()
    async with working(store, chat.deliver, Broken("Well,"), extensions=[loud]):
        await store.inbox.accept(event(1))
        await chat.until_finished(1)
    assert await remembered(store) == ["MESSAGE 1", "Well,"]


async def test_message_that_is_given_up_unseen_by_its_hook_is_not_remembered(
    short: Store, loud: Extension
) -> None:
    killed, successor = Chat(), Chat()
    async with working(short, killed.deliver, ScriptedEngine(delay=0.02), extensions=[loud]):
        await short.inbox.accept(event(1, "word " * 1000))
        await killed.until(lambda chat: "WORD" in chat.texts.get(event(1).id, ""))
    [claim] = await eventually(lambda: short.claims.take_stale(["test"], 1))
    await short.claims.release(claim)
    async with working(short, successor.deliver, settings=WorkerSettings(most_claims=2), extensions=[loud]):
        [finished] = await successor.until_finished(1)
    assert finished.startswith(killed.texts[event(1).id].rstrip())
    assert finished.endswith(f"_{CoreError.reply}_")
    assert await remembered(short) == []


async def test_worker_whose_loop_was_blocked_beyond_its_lease_answers_once(short: Store) -> None:
    blocked = False

    async def block_once(_text: str) -> None:
        nonlocal blocked
        if not blocked:
            blocked = True
            time.sleep(2 * short.claims.lease)  # noqa: ASYNC251 - what a library that computes may do

    chat = Chat(block_once)
    async with working(short, chat.deliver, ScriptedEngine(delay=0.02)):
        await short.inbox.accept(event(1))
        await short.inbox.accept(event(2))
        assert await chat.until_finished(2) == ["You said: message 1", "You said: message 2"]
    turns = ["message 1", "You said: message 1", "message 2", "You said: message 2"]
    assert await remembered(short) == turns


async def test_room_that_hangs_does_not_hold_up_help_elsewhere(store: Store) -> None:
    chat, asked = Chat(), asyncio.Event()
    slow = Room("slow", "bot", {})
    there = Conversation.of(slow, "chat")

    async def hang(_event: Event, _reply: Reply) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with working(store, {"test": chat.deliver, "slow": hang}):
        for number in range(40):
            await store.inbox.accept(event(number, " ", kind="help", room=slow, conversation=there))
        await asked.wait()
        await store.inbox.accept(event(100, " ", kind="help"))
        assert "/reset" in (await chat.until_finished(1))[0]


async def test_help_in_a_record_that_cannot_be_read_is_passed_over(store: Store) -> None:
    chat = Chat()
    stream = store.client.keys.queue("ctl", "test", TALK)
    await store.client.read(lambda redis: redis.xadd(stream, {"e": b"\xc1"}))
    await store.inbox.accept(event(1, " ", kind="help"))
    async with working(store, chat.deliver) as worker:
        assert "/reset" in (await chat.until_finished(1))[0]
        await worker.drain(5)
    assert await store.client.read(lambda redis: redis.xlen(stream)) == 0


async def test_leases_are_renewed_also_when_the_fleet_cannot_be_told(short: Store) -> None:
    begun: list[Event] = []
    ended = asyncio.Event()

    async def show_only_the_end(asked: Event, reply: Reply) -> None:
        begun.append(asked)
        async for draft in reply:
            if draft.final:
                await reply.showing(0, draft.text, len(draft.text), final=True)
                ended.set()

    workers = short.client.keys.fleet("workers")
    await short.client.read(lambda redis: redis.set(workers, "not a set"))
    async with working(short, show_only_the_end, ScriptedEngine(delay=0.05)):
        await short.inbox.accept(event(1, "word " * 40))
        await ended.wait()
    assert len(begun) == 1


async def test_prompt_that_a_server_finds_too_long_is_cut_once_more(store: Store) -> None:
    chat = Chat()
    settings = DialogueSettings(persona="", window=Strict.limit)
    async with working(store, chat.deliver, Strict(), dialogue=settings):
        for number in range(1, 9):
            await store.inbox.accept(event(number, f"message {number} with five more words in it"))
        finished = await chat.until_finished(8)
    assert all(f"message {number} " in text for number, text in enumerate(finished, 1))
    assert PromptTooLong.reply not in finished
