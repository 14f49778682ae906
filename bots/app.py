"""Builds store, engine, dialogue and adapters from the settings, runs them in one TaskGroup, and ends them.

The order of the end matters: the worker is drained while the adapters still listen and can still deliver (what
they accept meanwhile is on disk and answered at the next start), then everything is cancelled together.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.routing import BaseRoute

from adapters import Adapter
from bots.http.server import serve
from core.answer import Deliver
from core.dialogue import Dialogue, DialogueSettings
from core.engine.engine import Engine
from core.errors import Refused
from core.store.store import Store
from core.worker import Worker, WorkerSettings

DRAIN_SECONDS = 3.5
"""How long replies may take to end at a stop; with closing, the whole stop stays under five seconds."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run. `address` is where the HTTP server listens; `None`: nothing is served."""

    engine: Engine
    adapters: Sequence[Adapter]
    dialogue: DialogueSettings = field(default_factory=DialogueSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    address: tuple[str, int] | None = None


class Bot:
    """What runs. `listening` is set when everything that can be reached from outside listens (an adapter that was
    refused is not waited for); `stop` ends the bot from anywhere."""

    def __init__(self, worker: Worker, platforms: Sequence[str], *, served: bool) -> None:
        self.worker = worker
        self.url: str | None = None
        self.refused: list[Refused] = []
        self.listening = asyncio.Event()
        self._platforms = len(platforms)
        self._waiting_for = {*platforms, *(("http",) if served else ())}
        self._stopped = asyncio.Event()
        self._note()

    @property
    def refused_all(self) -> bool:
        """No platform took us: nothing is left to do."""
        return len(self.refused) == self._platforms > 0

    def stop(self) -> None:
        self._stopped.set()

    async def until_stopped(self) -> None:
        await self._stopped.wait()

    def started(self, what: str) -> None:
        self._waiting_for.discard(what)
        self._note()

    def _note(self) -> None:
        if not self._waiting_for:
            self.listening.set()


@asynccontextmanager
async def running(store: Store, plan: Plan, report: Report) -> AsyncIterator[Bot]:
    """The bot, running until the block is left. Leaving it drains the worker first.

    An adapter whose platform refuses us for good is reported and left out; the others go on. Anything else that
    escapes a task is fatal: it cancels the block and is raised as an exception group.
    """
    deliver: dict[str, Deliver] = {}
    worker = Worker(store, Dialogue(plan.engine, plan.dialogue), deliver, plan.worker)
    bot = Bot(worker, [adapter.platform for adapter in plan.adapters], served=plan.address is not None)

    def ready(url: str) -> None:
        bot.url = url
        bot.started("http")
        report(f"page and API: {url}")

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(plan.engine.run(), name="engine"),
            group.create_task(worker.run(), name="worker"),
        ]
        for adapter in plan.adapters:
            listening = _listen(adapter, store, bot, deliver, report)
            tasks.append(group.create_task(listening, name=adapter.platform))
        if plan.address is not None:
            host, port = plan.address
            tasks.append(group.create_task(serve(_routes(plan.adapters), host, port, ready=ready), name="http"))
        try:
            yield bot
        finally:
            await worker.drain(DRAIN_SECONDS)
            for task in tasks:
                task.cancel()


async def _listen(adapter: Adapter, store: Store, bot: Bot, deliver: dict[str, Deliver], report: Report) -> None:
    """One adapter's life. One that stops listening by itself (the person left the terminal) ends the bot."""

    def refused(exc: Refused) -> None:
        bot.refused.append(exc)
        report(f"{exc.platform}: {exc.why}. {exc.fix}")
        if bot.refused_all:
            bot.stop()

    try:
        async with _entered(adapter):
            deliver[adapter.platform] = adapter.deliver
            bot.started(adapter.platform)
            report(f"{adapter.platform}: listening")
            try:
                await adapter.listen(store.inbox)
            except Refused as exc:
                del deliver[adapter.platform]  # what waits is kept for the next start
                refused(exc)
                await asyncio.Event().wait()  # the replies under way are still brought to their rooms
        bot.stop()
    except Refused as exc:
        refused(exc)
    finally:
        deliver.pop(adapter.platform, None)
        bot.started(adapter.platform)


@asynccontextmanager
async def _entered(adapter: Any) -> AsyncIterator[None]:
    """An adapter's clients are open inside, where it has any."""
    if hasattr(adapter, "__aenter__"):
        async with adapter:
            yield
    else:
        yield


def _routes(adapters: Sequence[Adapter]) -> list[BaseRoute]:
    return [route for adapter in adapters for route in getattr(adapter, "routes", ())]


async def run_until_signal(store: Store, plan: Plan, report: Report) -> Bot:
    """Run until SIGINT or SIGTERM, or until an adapter ends by itself. A second signal does not wait any more."""
    loop = asyncio.get_running_loop()
    async with running(store, plan, report) as bot:
        main = asyncio.current_task()
        assert main is not None

        def on_signal() -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, main.cancel)
            report("stopping: the replies under way are being ended")
            bot.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows has no handlers on the loop; Ctrl-C cancels there
                loop.add_signal_handler(number, on_signal)
        await bot.until_stopped()
    return bot
