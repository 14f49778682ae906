"""Builds engine, dialogue, worker and adapters from a plan, runs them in one TaskGroup, and ends them.

The order of the end matters: the worker is drained while the adapters still listen and can still deliver (what
they accept meanwhile is on disk and answered at the next start, or by another worker), then everything is
cancelled together.
"""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from starlette.routing import BaseRoute

from adapters import Adapter
from bots.bot import Bot
from bots.http.admin.overview import Overview
from bots.http.admin.routes import routes as admin_routes
from bots.http.api.access import Access
from bots.http.api.routes import routes as api_routes
from bots.http.server import serve
from bots.instruments.health import Check, Health
from bots.instruments.instruments import Instruments
from bots.instruments.metrics import Metrics
from bots.instruments.routes import routes as instrument_routes
from bots.life import Hands, Life
from bots.presence import EVERY, Presence
from core.dialogue import Dialogue, DialogueSettings
from core.engine.embedding import Embedder
from core.engine.engine import Engine
from core.errors import CoreError
from core.extension import Extension
from core.files.reader import FileSettings, Reader
from core.guard import Guard, GuardSettings
from core.store.api_keys import ApiKeys
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
    model; `models` are others, which people may choose by name, and `embedder` makes embeddings for them.
    `extensions` add commands and hooks, and `guard` says who may talk to the bot. `instruments` watch all of it
    and are closed with it; `None`: metrics alone. At a SIGTERM replies that nobody else can go on with have
    `drain_seconds` to end by themselves. The operator is shown how it goes every `show_every` seconds.
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
    models: Mapping[str, Engine] = field(default_factory=dict)
    embedder: Embedder | None = None
    extensions: Sequence[Extension] = ()
    guard: GuardSettings = field(default_factory=GuardSettings)
    instruments: Instruments | None = None
    drain_seconds: float = 20.0
    show_every: float = EVERY


@asynccontextmanager
async def running(store: Store, plan: Plan, report: Report) -> AsyncIterator[Bot]:
    """The bot, running until the block is left. Leaving it drains the worker first.

    An adapter whose platform refuses us for good is reported and left out; the others go on. Anything else that
    escapes a task is fatal: it cancels the block and is raised as an exception group.
    """
    instruments = plan.instruments or Instruments(Metrics(), None)
    hands = Hands()
    guard = Guard(store, plan.guard)
    engine = worker = None
    dialogues: list[Dialogue] = []
    others: dict[str, Engine] = {}
    embedder = None if plan.embedder is None else instruments.embedder(plan.embedder)
    if plan.engine is not None:
        engine = instruments.engine(plan.engine)
        reader = None if plan.files is None else Reader(plan.files, hands.fetch)
        dialogue = Dialogue(engine, plan.dialogue)
        others = {name: instruments.engine(each) for name, each in plan.models.items()}
        choices = {name: Dialogue(each, plan.dialogue) for name, each in others.items()}
        dialogues = [dialogue, *choices.values()]
        if any(extension.tools for extension in plan.extensions):
            for each in (engine, *others.values()):
                if not each.tools:
                    report(f"the model {each.name} calls no tools, and is offered none of the extensions'")
        worker = Worker(
            store,
            dialogue,
            hands.deliver,
            plan.worker,
            instruments.turn,
            reader,
            plan.extensions,
            guard.charge,
            choices,
            instruments.names,
        )

    def told(life: Life, line: str) -> None:
        bot.started(life.name)
        report(line)
        if bot.refused_all:
            bot.stop()

    async def live(life: Life) -> None:
        await life.run()
        bot.started(life.name)
        if life.left:
            bot.stop()

    lives = [
        Life(
            adapter,
            store,
            guard,
            instruments,
            hands,
            told,
            listens=plan.listen,
            alone=adapter.platform in plan.alone,
        )
        for adapter in plan.adapters
    ]
    bot = Bot(lives, guard, dialogues, served=plan.address is not None)
    presence = Presence(
        store,
        instruments,
        bot,
        engine=engine,
        worker=worker,
        role=_role(plan),
        every=plan.show_every,
    )

    def ready(url: str) -> None:
        bot.url = url
        bot.started("http")
        report(f"{_served(plan)}: {url}")

    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[None]] = []
        if engine is not None and worker is not None:
            engines = (engine, *others.values())
            tasks += [group.create_task(each.run(), name=f"engine {each.name}") for each in engines]
            if embedder is not None:
                tasks.append(group.create_task(embedder.run(), name="embeddings"))
            tasks.append(group.create_task(worker.run(), name="worker"))
            tasks.append(group.create_task(store.upkeep.run(), name="upkeep"))
        tasks += [group.create_task(live(life), name=life.name) for life in lives]
        tasks.append(group.create_task(presence.run(), name="presence"))
        if plan.address is not None:
            overview = Overview(store, every=plan.show_every)
            routes = _routes(store, plan, engine, others, embedder, instruments, bot, overview)
            tasks.append(group.create_task(overview.run(), name="overview"))
            serving = serve(routes, *plan.address, ready=ready, bodies=_bodies(plan))
            tasks.append(group.create_task(serving, name="http"))
        try:
            yield bot
        finally:
            if worker is not None:
                await worker.drain(END_SECONDS, patience=bot.patience)
            for task in tasks:
                task.cancel()
            await asyncio.to_thread(instruments.close)


def _routes(
    store: Store,
    plan: Plan,
    engine: Engine | None,
    others: Mapping[str, Engine],
    embedder: Embedder | None,
    instruments: Instruments,
    bot: Bot,
    overview: Overview,
) -> list[BaseRoute]:
    """Programs are answered where the model is, and people are heard where we listen."""
    access = Access(ApiKeys(store.client), plan.names)
    engines = [] if engine is None else [engine, *others.values()]
    health = Health(lambda: _checks(store, engines, bot))
    routes = [
        *instrument_routes(instruments.metrics.registry, health, access),
        *admin_routes(store, overview, access),
    ]
    if engine is not None:
        routes += api_routes(
            engine,
            access,
            personas=plan.personas,
            others=others,
            embedder=embedder,
            params=plan.dialogue.params,
        )
    if plan.listen:
        routes += [route for adapter in plan.adapters for route in getattr(adapter, "routes", ())]
    return routes


def _bodies(plan: Plan) -> dict[str, int]:
    """Under which paths larger bodies are taken than elsewhere."""
    return {path: most for adapter in plan.adapters for path, most in getattr(adapter, "bodies", {}).items()}


def _checks(store: Store, engines: Sequence[Engine], bot: Bot) -> dict[str, Check]:
    """What must hold for this process to be of use."""

    async def reaches_store() -> bool:
        await store.ping()
        return True

    async def runs_model() -> bool:
        return all(engine.load.alive for engine in engines)

    def holds(state: bool) -> Check:
        async def check() -> bool:
            return state

        return check

    return {
        "store": reaches_store,
        "model": runs_model,
        **{name: holds(ready) for life in bot.lives for name, ready in life.ready.items()},
    }


def _role(plan: Plan) -> str:
    if plan.engine is None:
        return "listen"
    return "all" if plan.listen else "work"


def _served(plan: Plan) -> str:
    served = {"page": plan.listen, "API": plan.engine is not None}
    return " and ".join(name for name, here in served.items() if here)


Reread = Callable[[], tuple[DialogueSettings, GuardSettings]]
"""Reads again what may change while the bot runs. Raises `CoreError`; may block."""


async def run_until_signal(store: Store, plan: Plan, report: Report, reread: Reread | None = None) -> Bot:
    """Run until SIGINT or SIGTERM, or until an adapter ends by itself. Who presses Ctrl-C waits for no reply; a
    second signal waits for nothing. A SIGHUP has the settings read again."""
    loop = asyncio.get_running_loop()
    async with running(store, plan, report) as bot, asyncio.TaskGroup() as group:
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
        rereading = group.create_task(_reread_for_ever(bot, reread, report), name="settings")
        _spare_what_stays()
        await bot.until_stopped()
        rereading.cancel()
    return bot


async def _reread_for_ever(bot: Bot, reread: Reread | None, report: Report) -> None:
    wanted = asyncio.Event()
    with suppress(AttributeError, NotImplementedError):  # there is no SIGHUP on Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, wanted.set)
    while True:
        await wanted.wait()
        wanted.clear()
        if reread is None:
            continue
        try:
            bot.use(*await asyncio.to_thread(reread))
        except CoreError as exc:
            report(f"the settings stay as they were: {exc}")
        else:
            report("the settings were read again")


def _spare_what_stays() -> None:
    """What the start has loaded is never garbage, and a collection that looked at all of it would hold up all.
    Each turn makes so many objects that a collection after every 700 of them takes a tenth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
