"""A room that shows what it is told to, engines that can be foreseen, and a worker, for tests of a turn's life."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from core.answer import Deliver
from core.dialogue import Dialogue, DialogueSettings
from core.engine.engine import NOBODY, Caller, Completion, Delta, Engine, Load, Message, Params
from core.engine.scripted import ScriptedEngine
from core.errors import EngineError
from core.extension import Extension
from core.files.reader import Reader
from core.names import Names
from core.store.store import Store
from core.turns import Conversation, Event, Reply, Room, Speaker
from core.worker import Watch, Worker, WorkerSettings, unwatched

ROOM = Room("test", "bot", {"chat": 1})
TALK = Conversation.of(ROOM, "chat")
ANN = Speaker("ann", "Ann")
QUICK = WorkerSettings(retry_wait=0.0)


def event(number: int, text: str = "", **change: object) -> Event:
    message = Event(
        id=f"test:bot:chat:{number}",
        room=ROOM,
        conversation=TALK,
        speaker=ANN,
        text=text or f"message {number}",
        message=str(number),
        at=float(number),
    )
    return replace(message, **change)  # type: ignore[arg-type]


class Chat:
    """A platform that shows a reply as one message. `texts` maps an event's id to what stands there now."""

    def __init__(self, before: Callable[[str], Awaitable[None]] | None = None) -> None:
        self.texts: dict[str, str] = {}
        self.finished: list[str] = []
        self._before = before
        self._changed = asyncio.Condition()

    async def deliver(self, event: Event, reply: Reply) -> None:
        async for draft in reply:
            if self._before is not None:
                await self._before(draft.text)
            await reply.showing(0, draft.text, len(draft.text), final=draft.final)
            async with self._changed:
                self.texts[event.id] = draft.text
                if draft.final:
                    self.finished.append(draft.text)
                self._changed.notify_all()
            await reply.shown(0, f"message-{event.id}")

    async def until(self, predicate: Callable[["Chat"], bool], *, within: float = 20.0) -> None:
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: predicate(self))

    async def until_finished(self, count: int, *, within: float = 20.0) -> list[str]:
        await self.until(lambda chat: len(chat.finished) >= count, within=within)
        return self.finished


class Told:
    """A completion of these deltas."""

    place_in_line = 0
    estimate = 0.0

    def __init__(self, deltas: AsyncIterator[Delta]) -> None:
        self._deltas = deltas

    def spell(self, token_id: int) -> bytes:
        raise KeyError(token_id)

    def __aiter__(self) -> "Told":
        return self

    async def __anext__(self) -> Delta:
        return await anext(self._deltas)


class Mirror:
    """An engine that answers with what it was asked: the roles and texts of its prompt."""

    name = "mirror"
    context = 100
    fingerprint = "words"
    continues = True
    sees = False
    tools = False
    load = Load(alive=True)

    def count(self, messages: Sequence[Message]) -> int:
        return sum(len(message.text.split()) for message in messages)

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        async def deltas() -> AsyncIterator[Delta]:
            yield Delta(" | ".join(f"{message.role}: {message.text}" for message in messages), finish="stop")

        yield Told(deltas())

    async def run(self) -> None:
        await asyncio.Event().wait()


class Broken(Mirror):
    """An engine that fails after `text`."""

    def __init__(self, text: str) -> None:
        self._text = text

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        async def deltas() -> AsyncIterator[Delta]:
            if self._text:
                yield Delta(self._text)
            raise EngineError("out of order")

        yield Told(deltas())


@asynccontextmanager
async def working(
    store: Store,
    deliver: Deliver | Mapping[str, Deliver],
    engine: Engine | None = None,
    settings: WorkerSettings = QUICK,
    dialogue: DialogueSettings | None = None,
    extensions: Sequence[Extension] = (),
    reader: Reader | None = None,
    watch: Watch = unwatched,
    names: Names | None = None,
) -> AsyncIterator[Worker]:
    """A worker that is cancelled, not drained, at the end: as good as killed. `deliver` is for the platform
    "test", or for several by name."""
    engine = engine or ScriptedEngine()
    dialogue = dialogue or DialogueSettings(persona="Be kind.", window=5000)
    delivers = deliver if isinstance(deliver, Mapping) else {"test": deliver}
    worker = Worker(store, Dialogue(engine, dialogue), delivers, settings, watch, reader, extensions, names=names)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(engine.run()), group.create_task(worker.run())]
        try:
            yield worker
        finally:
            for task in tasks:
                task.cancel()


async def remembered(store: Store) -> list[str]:
    return [turn.text for turn in await store.memory.turns(TALK, 100)]
