"""The bot itself, as it runs in production, for tests: real store, real worker, real adapters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters import Adapter
from bots.app import Bot, Plan
from bots.app import running as run_plan
from core.dialogue import DialogueSettings
from core.engine.engine import Engine
from core.files.reader import FileSettings
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
    )
    async with run_plan(store, plan, lambda _line: None) as bot:
        await bot.listening.wait()
        yield bot
