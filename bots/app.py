"""Builds engine, dialogue, worker and adapters from a plan, runs them in one TaskGroup, and ends them.

The order of the end matters: the worker is drained while the adapters still listen and can still deliver (what
they accept meanwhile is on disk and answered at the next start, or by another worker), then everything is
cancelled together. A bot's connection that must be alone is held by a lease; others that would listen stand by.
"""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.routing import BaseRoute

from adapters import Adapter, Fetches
from bots.http.api.access import Access
from bots.http.api.routes import routes as api_routes
from bots.http.server import serve
from bots.instruments.health import Check, Health
from bots.instruments.instruments import Instruments
from bots.instruments.metrics import Metrics
from bots.instruments.routes import routes as instrument_routes
from core.answer import Deliver
from core.dialogue import Dialogue, DialogueSettings
from core.engine.engine import Engine
from core.errors import Refused
from core.files.reader import Fetch, FileSettings, Reader
from core.store.api_keys import ApiKeys
from core.store.leases import Leases
from core.store.store import Store
from core.worker import Worker, WorkerSettings

END_SECONDS = 3.0
"""How long a reply that is ended early may take to be brought to its room; with all that is closed after it, a
stop that waits for no reply stays under five seconds."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run. Without an `engine` nothing is answered here, without `listen` nothing is heard.

    `alone` names the platforms to which a bot may have one connection only. Files that come with messages are read
    as `files` says; `None`: they are not. `address` is where the HTTP server listens; `None`: nothing is served.
    `names` are host names under which it is asked. `personas` are texts by the names that programs give for a
    model. `instruments` watch all of it and are closed with it; `None`: metrics alone. At a SIGTERM replies that
    nobody else can go on with have `drain_seconds` to end by themselves.
    """

    engine: Engine | None
    adapters: Sequence[Adapter]
    listen: bool = True
    alone: Collection[str] = ()
    dialogue: DialogueSettings = field(default_factory=DialogueSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    files: FileSettings | None = None
    address: tuple[str, int] | None = None
    names: Collection[str] = ()
    personas: Mapping[str, str] = field(default_factory=dict)
    instruments: Instruments | None = None
    drain_seconds: float = 20.0


class Bot:
    """What runs. `listening` is set when everything that can be reached from outside listens, stands by or
    delivers (an adapter that was refused is not waited for); `stop` ends the bot from anywhere, and `patience` is
    how many seconds replies then have to end by themselves."""

    def __init__(self, platforms: Sequence[str], *, served: bool) -> None:
        self.url: str | None = None
        self.patience = 0.0
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
    instruments = plan.instruments or Instruments(Metrics(), None)
    fetch: dict[str, Fetch] = {}
    bot = Bot([adapter.platform for adapter in plan.adapters], served=plan.address is not None)
    engine = worker = None
    if plan.engine is not None:
        engine = instruments.engine(plan.engine)
        reader = None if plan.files is None else Reader(plan.files, fetch)
        worker = Worker(store, Dialogue(engine, plan.dialogue), deliver, plan.worker, instruments.turn, reader)

    def ready(url: str) -> None:
        bot.url = url
        bot.started("http")
        report(f"{_served(plan)}: {url}")

    async with asyncio.TaskGroup() as group:
        tasks = []
        if engine is not None and worker is not None:
            tasks.append(group.create_task(engine.run(), name="engine"))
            tasks.append(group.create_task(worker.run(), name="worker"))
            tasks.append(group.create_task(store.upkeep.run(), name="upkeep"))
        for adapter in plan.adapters:
            life = _Life(adapter, store, plan, bot, deliver, fetch, instruments, report)
            tasks.append(group.create_task(life.run(), name=adapter.platform))
        if plan.address is not None:
            routes = _routes(store, plan, engine, instruments, bot)
            tasks.append(group.create_task(serve(routes, *plan.address, ready=ready), name="http"))
        try:
            yield bot
        finally:
            if worker is not None:
                await worker.drain(END_SECONDS, patience=bot.patience)
            for task in tasks:
                task.cancel()
            await asyncio.to_thread(instruments.close)


class _Life:
    """One adapter's, from when it is entered to its end."""

    def __init__(
        self,
        adapter: Adapter,
        store: Store,
        plan: Plan,
        bot: Bot,
        deliver: dict[str, Deliver],
        fetch: dict[str, Fetch],
        instruments: Instruments,
        report: Report,
    ) -> None:
        self._adapter = adapter
        self._store = store
        self._plan = plan
        self._bot = bot
        self._deliver = deliver
        self._instruments = instruments
        self._fetch = fetch
        self._report = report
        self._name = adapter.platform

    async def run(self) -> None:
        """One that stops listening by itself (the person left the terminal) ends the bot."""
        try:
            async with _entered(self._adapter):
                self._deliver[self._name] = self._instruments.deliver(self._adapter.deliver)
                if isinstance(self._adapter, Fetches):
                    self._fetch[self._name] = self._adapter.fetch
                try:
                    await self._listen_or_deliver()
                except Refused as exc:
                    del self._deliver[self._name]  # what waits is kept for the next start
                    self._refused(exc)
                    await asyncio.Event().wait()  # the replies under way are still brought to their rooms
            self._bot.stop()
        except Refused as exc:
            self._refused(exc)
        finally:
            self._deliver.pop(self._name, None)
            self._fetch.pop(self._name, None)
            self._bot.started(self._name)

    async def _listen_or_deliver(self) -> None:
        if not self._plan.listen:
            self._started("delivering")
            await asyncio.Event().wait()
        elif self._name in self._plan.alone:
            name = _connection_of(self._adapter)
            await Leases(self._store.client).alone(name, self._listen, standing_by=self._stands_by)
        else:
            await self._listen()

    async def _listen(self) -> None:
        self._started("listening")
        await self._adapter.listen(self._instruments.inbox(self._store.inbox))

    def _stands_by(self, holder: str) -> None:
        self._started(f"standing by; the bot is connected on {holder}")

    def _started(self, doing: str) -> None:
        self._bot.started(self._name)
        self._report(f"{self._name}: {doing}")

    def _refused(self, exc: Refused) -> None:
        self._bot.refused.append(exc)
        self._report(f"{exc.platform}: {exc.why}. {exc.fix}")
        if self._bot.refused_all:
            self._bot.stop()


def _connection_of(adapter: Any) -> str:
    """The name of the lease on the connection of an adapter that was entered: its platform and bot account."""
    return f"{adapter.platform}/{adapter.bot}"


@asynccontextmanager
async def _entered(adapter: Any) -> AsyncIterator[None]:
    """An adapter's clients are open inside, where it has any."""
    if hasattr(adapter, "__aenter__"):
        async with adapter:
            yield
    else:
        yield


def _routes(
    store: Store, plan: Plan, engine: Engine | None, instruments: Instruments, bot: Bot
) -> list[BaseRoute]:
    """Programs are answered where the model is, and people are heard where we listen."""
    access = Access(ApiKeys(store.client), plan.names)
    health = Health(_checks(store, engine, bot))
    routes = [*instrument_routes(instruments.metrics.registry, health, access)]
    if engine is not None:
        routes += api_routes(engine, access, personas=plan.personas, params=plan.dialogue.params)
    if plan.listen:
        routes += [route for adapter in plan.adapters for route in getattr(adapter, "routes", ())]
    return routes


def _checks(store: Store, engine: Engine | None, bot: Bot) -> dict[str, Check]:
    """What must hold for this process to be of use."""

    async def reaches_store() -> bool:
        await store.ping()
        return True

    async def runs_model() -> bool:
        return engine is None or engine.load.alive

    async def listens() -> bool:
        return bot.listening.is_set() and not bot.refused_all

    return {"store": reaches_store, "model": runs_model, "platforms": listens}


def _served(plan: Plan) -> str:
    served = {"page": plan.listen, "API": plan.engine is not None}
    return " and ".join(name for name, here in served.items() if here)


async def run_until_signal(store: Store, plan: Plan, report: Report) -> Bot:
    """Run until SIGINT or SIGTERM, or until an adapter ends by itself. Who presses Ctrl-C waits for no reply; a
    second signal waits for nothing."""
    loop = asyncio.get_running_loop()
    async with running(store, plan, report) as bot:
        main = asyncio.current_task()
        assert main is not None

        def stop(patience: float) -> None:
            for number in patiences:
                loop.add_signal_handler(number, main.cancel)
            report("stopping: the replies under way are being ended or handed over")
            bot.patience = patience
            bot.stop()

        patiences = {signal.SIGINT: 0.0, signal.SIGTERM: plan.drain_seconds}
        for number, patience in patiences.items():
            with suppress(NotImplementedError):  # Windows has no handlers on the loop; Ctrl-C cancels there
                loop.add_signal_handler(number, stop, patience)
        _spare_what_stays()
        await bot.until_stopped()
    return bot


def _spare_what_stays() -> None:
    """What the start has loaded is never garbage, and a collection that looked at all of it would hold up all.
    Each turn makes so many objects that a collection after every 700 of them takes a tenth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
