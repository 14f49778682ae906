"""The bot itself, as it runs in production, for tests: real store, real worker, real adapters."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from adapters import Adapter
from bots.app import Plan
from bots.app import running as run_plan
from bots.bot import Bot
from bots.presence import EVERY
from core.dialogue import DialogueSettings
from core.engine.embedding import Embedder
from core.engine.engine import Engine
from core.extension import Extension
from core.files.reader import FileSettings
from core.guard import GuardSettings
from core.store.store import Store
from core.worker import WorkerSettings

QUICK = WorkerSettings(take_seconds=0.05)  # else each test that is over waits for the rest of a second


@asynccontextmanager
async def running(
    *adapters: Adapter,
    store: Store,
    engine: Engine,
    dialogue: DialogueSettings | None = None,
    worker: WorkerSettings | None = None,
    files: FileSettings | None = None,
    address: tuple[str, int] | None = None,
    show_every: float = EVERY,
    models: Mapping[str, Engine] | None = None,
    embedder: Embedder | None = None,
    extensions: Sequence[Extension] = (),
    guard: GuardSettings | None = None,
) -> AsyncIterator[Bot]:
    """The adapters with `engine` on `store`, listening when the block is entered.

    `address=("127.0.0.1", 0)` serves the adapters' routes on a free port: `bot.url`.
    """
    plan = Plan(
        engine=engine,
        adapters=adapters,
        dialogue=dialogue or DialogueSettings(window=1_000_000),
        worker=worker or QUICK,
        files=files,
        address=address,
        show_every=show_every,
        models=models or {},
        embedder=embedder,
        extensions=extensions,
        guard=guard or GuardSettings(),
    )
    async with run_plan(store, plan, lambda _line: None) as bot:
        await bot.listening.wait()
        yield bot
