"""Summaries in a worker's life: written while nobody is answered, and shown from the window's next jump on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.dialogue import Dialogue, DialogueSettings
from core.engine.engine import NOBODY, Caller, Completion, Delta, Engine, Message, Params
from core.engine.loading import load
from core.engine.local import LocalEngine, LocalSettings
from core.engine.remote import RemoteEngine, RemoteSettings
from core.folding import Folding
from core.store.client import StoreSettings
from core.store.folds import Fold
from core.store.store import Store, open_store
from core.summary import Summary
from tests.core.engine.openai_server import OpenAIServer
from tests.core.rooms import TALK, Chat, Mirror, Told, event, remembered, working
from tests.core.store.steps import eventually

TEN = " ".join(["word"] * 10)
DIALOGUE = DialogueSettings(persona="Be kind.", window=100, summaries=True)
FOLDED = 6
"""Up to this turn a conversation is folded in which four messages of ten words have got ten words each."""


class Clerk(Mirror):
    """An engine that answers with ten words. A summary takes until `may_write`."""

    context = 1000

    def __init__(self, text: str = "Ann likes tea.") -> None:
        self.asked = asyncio.Semaphore(0)
        self.prompts: list[str] = []
        self.summarised: list[str] = []
        self.may_write = asyncio.Event()
        self._text = text

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        async def deltas() -> AsyncIterator[Delta]:
            if caller.waits:
                self.prompts.append(messages[0].text)
                yield Delta(TEN, finish="stop")
            else:
                self.summarised.append(messages[-1].text)
                self.asked.release()
                await self.may_write.wait()
                yield Delta(self._text, finish="stop")

        yield Told(deltas())

    async def until_asked(self) -> None:
        """A summary has been begun, once more."""
        async with asyncio.timeout(20):
            await self.asked.acquire()


class Poisoned(Clerk):
    """An engine that cannot write a summary, for a reason that nobody foresaw."""

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        if not caller.waits:
            self.asked.release()
            raise ZeroDivisionError(messages[-1].text)
        async with super().generate(messages, params, caller) as told:
            yield told


async def say(store: Store, chat: Chat, *numbers: int) -> None:
    """Messages of ten words, one after the other is answered."""
    for number in numbers:
        await store.inbox.accept(event(number, TEN))
        await chat.until(lambda chat: event(number).id in chat.texts)  # noqa: B023 - it is waited for here
        await chat.until_finished(len(chat.texts))


async def until_summarised(store: Store, upto: int = 1, *, within: float = 10.0) -> Summary:
    """The summary, when there is one up to that turn at least."""

    async def summary() -> Summary | None:
        found = await store.memory.summary(TALK)
        return found if found.upto >= upto else None

    found = await eventually(summary, within=within)
    assert found is not None
    return found


async def test_older_turns_are_folded_and_prompts_have_the_summary_from_the_next_jump_on(store: Store) -> None:
    chat, clerk = Chat(), Clerk()
    clerk.may_write.set()
    async with working(store, chat.deliver, clerk, dialogue=DIALOGUE):
        await say(store, chat, 1, 2, 3, 4)
        assert await until_summarised(store) == Summary("Ann likes tea.", FOLDED)
        await say(store, chat, 5, 6, 7)
    told = "Be kind.\n\nEarlier in this conversation: Ann likes tea."
    assert clerk.prompts == ["Be kind."] * 5 + [told] * 2
    [asked] = clerk.summarised
    assert asked.count(f"Ann: {TEN}\nTrialogue: {TEN}\n") == FOLDED // 2
    assert len(await remembered(store)) == 14


async def test_next_summary_is_made_of_the_last_one_and_what_was_said_since(store: Store) -> None:
    chat, clerk = Chat(), Clerk()
    clerk.may_write.set()
    async with working(store, chat.deliver, clerk, dialogue=DIALOGUE):
        await say(store, chat, 1, 2, 3, 4)
        await until_summarised(store)
        await say(store, chat, 5, 6, 7)
        assert (await until_summarised(store, FOLDED + 1)).upto == 10
    assert "Ann likes tea." not in clerk.summarised[0]
    assert clerk.summarised[-1].startswith("The summary so far:\nAnn likes tea.\n")
    assert clerk.summarised[-1].count("Ann: ") == 2


async def test_message_that_comes_while_a_summary_is_written_is_answered_at_once(store: Store) -> None:
    chat, clerk = Chat(), Clerk()
    async with working(store, chat.deliver, clerk, dialogue=DIALOGUE):
        await say(store, chat, 1, 2, 3, 4)
        await clerk.until_asked()
        await say(store, chat, 5)
        await clerk.until_asked()  # it is begun again
        clerk.may_write.set()
        assert (await until_summarised(store)).upto == FOLDED
    assert len(await remembered(store)) == 10


async def test_jump_for_which_no_summary_is_ready_loses_nothing_but_room(store: Store) -> None:
    chat, clerk = Chat(), Clerk()
    async with working(store, chat.deliver, clerk, dialogue=DIALOGUE):
        await say(store, chat, *range(1, 8))
        clerk.may_write.set()
        assert (await until_summarised(store)).upto > FOLDED
    assert set(clerk.prompts) == {"Be kind."}
    assert clerk.summarised[-1].count("Ann: ") * 2 == (await store.memory.summary(TALK)).upto
    assert len(await remembered(store)) == 14


async def test_model_that_fails_at_a_summary_goes_on_answering(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    chat, clerk = Chat(), Poisoned()
    clerk.may_write.set()
    async with working(store, chat.deliver, clerk, dialogue=DIALOGUE):
        await say(store, chat, 1, 2, 3, 4)
        await clerk.until_asked()
        await say(store, chat, 5, 6)
    assert "ZeroDivisionError" in caplog.text
    assert "word" not in caplog.text


async def test_without_the_setting_nothing_is_summarised(store: Store) -> None:
    chat, clerk = Chat(), Clerk()
    async with working(store, chat.deliver, clerk, dialogue=DialogueSettings(persona="Be kind.", window=100)):
        await say(store, chat, *range(1, 8))
    assert clerk.summarised == []


async def test_summaries_that_are_switched_off_are_in_no_prompt_any_more(store: Store) -> None:
    chat, clerk, later = Chat(), Clerk(), Clerk()
    clerk.may_write.set()
    async with working(store, chat.deliver, clerk, dialogue=DIALOGUE):
        await say(store, chat, 1, 2, 3, 4)
        await until_summarised(store)
        await say(store, chat, 5, 6)
    assert "Earlier in this conversation" in clerk.prompts[-1]
    async with working(store, chat.deliver, later, dialogue=DialogueSettings(persona="Be kind.", window=100)):
        await say(store, chat, 7, 8, 9)
    assert later.prompts == ["Be kind."] * 3


async def test_summary_that_a_drained_worker_had_begun_is_free_at_once(store: Store) -> None:
    chat, clerk = Chat(), Clerk()
    async with working(store, chat.deliver, clerk, dialogue=DIALOGUE) as worker:
        await say(store, chat, 1, 2, 3, 4)
        await clerk.until_asked()
        await worker.drain(10)
        assert isinstance(await eventually(lambda: store.folds.take(TALK, FOLDED)), Fold)


async def test_summary_of_a_worker_that_was_killed_is_written_by_the_next(short: Store) -> None:
    chat, first, second = Chat(), Clerk(), Clerk()
    async with working(short, chat.deliver, first, dialogue=DIALOGUE):
        await say(short, chat, 1, 2, 3, 4)
        await first.until_asked()
    assert isinstance(await short.folds.take(TALK, FOLDED), Fold)  # another one has begun, and dies with its lease
    second.may_write.set()
    async with working(short, chat.deliver, second, dialogue=DIALOGUE):
        await say(short, chat, 5)
        assert (await until_summarised(short)).upto == FOLDED


async def test_two_workers_that_want_the_same_summary_ask_the_model_once(
    store: Store, store_settings: StoreSettings
) -> None:
    chat, clerks = Chat(), (Clerk("one"), Clerk("two"))
    async with working(store, chat.deliver, Clerk(), dialogue=DialogueSettings(window=1000)):
        await say(store, chat, 1, 2, 3, 4)
        fold = await eventually(lambda: store.folds.take(TALK, FOLDED))  # when the last answer is delivered
        assert isinstance(fold, Fold)
        await store.folds.release(fold)
    async with (
        open_store(store_settings, lease=4.0, beat_every=0.1) as here,
        open_store(store_settings, lease=4.0, beat_every=0.1) as there,
        asyncio.TaskGroup() as group,
    ):
        tasks = []
        for opened, clerk in zip((here, there), clerks, strict=True):
            folding = Folding(opened.folds, Dialogue(clerk, DIALOGUE), seconds=20)
            folding.want(TALK, FOLDED)
            tasks.append(group.create_task(folding.run()))
        winner = await first_of(*clerks)
        await asyncio.sleep(4.5)  # longer than a lease
        winner.may_write.set()
        await until_summarised(store)
        assert sum(len(clerk.summarised) for clerk in clerks) == 1
        for task in tasks:
            task.cancel()


async def first_of(*clerks: Clerk) -> Clerk:
    async def asked() -> Clerk | None:
        return next((clerk for clerk in clerks if clerk.summarised), None)

    found = await eventually(asked)
    assert found is not None
    return found


async def test_reset_forgets_the_summary_and_one_that_is_being_written(store: Store) -> None:
    chat, clerk = Chat(), Clerk()
    async with working(store, chat.deliver, clerk, dialogue=DIALOGUE):
        await say(store, chat, 1, 2, 3, 4)
        await clerk.until_asked()
        clerk.may_write.set()
        await until_summarised(store)
        clerk.may_write.clear()
        await say(store, chat, 5, 6, 7, 8)
        await clerk.until_asked()
        await store.inbox.accept(event(9, kind="reset"))
        await chat.until_finished(9)
        clerk.may_write.set()
        await say(store, chat, 10)
    assert clerk.prompts[-1] == "Be kind."
    assert await store.memory.summary(TALK) == Summary()
    assert len(await remembered(store)) == 2


async def test_model_behind_a_server_summarises_as_well(store: Store) -> None:
    async with OpenAIServer.serve() as server:
        engine: Engine = RemoteEngine(RemoteSettings(url=server.url, model=server.model, api_key=server.key))
        chat, window = Chat(), 1500  # of bytes
        dialogue = DialogueSettings(persona="Be kind.", window=window, summaries=True)
        async with working(store, chat.deliver, engine, dialogue=dialogue):
            await say(store, chat, *range(1, 10))
            summary = await until_summarised(store)
    assert summary.text.startswith("You said: What was said then:\nAnn: word")


@pytest.fixture
async def bundled(models_dir: Path) -> AsyncIterator[Engine]:
    loaded = await asyncio.to_thread(load, "default", models_dir=models_dir, progress=lambda _what, _share: None)
    settings = LocalSettings(native=models_dir.parent / "native")
    yield await asyncio.to_thread(LocalEngine, loaded, settings)


@pytest.mark.slow
@pytest.mark.timeout(600)  # the model may have to be converted first, and an old processor reads slowly
async def test_bundled_model_writes_a_summary_that_the_next_prompt_has(store: Store, bundled: Engine) -> None:
    chat, dialogue = Chat(), DialogueSettings(window=400, summaries=True, params=Params(max_tokens=24))
    said = "My name is Ann, my dog is called Rex, and I live in Lisbon. Tell me about dogs in one sentence."
    async with working(store, chat.deliver, bundled, dialogue=dialogue):
        for number in range(1, 9):
            await store.inbox.accept(event(number, said))
            await chat.until_finished(number, within=200)
        summary = await until_summarised(store, within=200)
    assert 0 < bundled.count([Message("user", summary.text)]) < 100
    assert summary.upto >= 2
