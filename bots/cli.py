"""The command `trialogue`: what a person types, and nothing of how it is done."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bots import (
    api_keys,
    aside,
    backup,
    build,
    disk,
    doctor,
    evaluate,
    forget,
    keys,
    memory,
    say,
    stranded,
    train,
    wizard,
)
from bots.app import Plan, run_until_signal
from bots.errors import clear_errors
from bots.instruments import logs
from bots.load import command
from bots.role import Role
from bots.settings import BadSettings, Settings, load
from core.commands import offer, offering, suggesting
from core.dialogue import DialogueSettings
from core.guard import GuardSettings
from core.store.store import open_store

# Locals in a traceback would show tokens.
cli = typer.Typer(
    help="Your own chat model in Discord, Telegram and Slack.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
memory.cli.command()(backup.backup)
memory.cli.command()(forget.forget)
memory.cli.command()(keys.rotate_keys)
cli.add_typer(memory.cli, name="memory")
cli.add_typer(api_keys.cli, name="keys")
cli.add_typer(train.cli, name="train")
cli.command()(aside.retry)
cli.command()(stranded.drop)
cli.command(name="load")(command.load)
cli.command()(say.say)
cli.command()(evaluate.evaluate)
console = Console(stderr=True, highlight=False)

PORT = 8080
"""Where the page is, unless `http.port` says it."""

T = TypeVar("T")


class Platform(StrEnum):
    discord = "discord"
    telegram = "telegram"
    slack = "slack"
    web = "web"


RoleOption = Annotated[Role, typer.Option(help="What this process does: listen to people, answer them, or both.")]


@cli.callback()
def _options(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="The settings file. Else ./trialogue.toml, if there is one.")
    ] = None,
) -> None:
    context.obj = config


@cli.command()
def run(
    context: typer.Context,
    platforms: Annotated[list[Platform] | None, typer.Argument(help="Else all with a token, and web.")] = None,
    role: RoleOption = Role.all,
) -> None:
    """Run the bot on the platforms named."""
    with clear_errors():
        settings = load(context.obj)
        named = tuple(dict.fromkeys(platform.value for platform in platforms or ()))
        # Whoever only works also answers the terminals that only listen.
        names = named or (*settings.platforms, "web", *(() if role.listens else ("terminal",)))
        for name in named:
            if name != "web" and name not in settings.platforms:
                raise BadSettings(f"{name} has no token; `trialogue init` tells where to get one")
        logs.configure(settings.log_level, settings.instruments.logs)
        _run(_serve(settings, names, role, lambda: load(context.obj)))


@cli.command()
def chat(context: typer.Context, role: RoleOption = Role.all) -> None:
    """Talk in this terminal; with `--role listen` somebody else answers."""
    if not role.listens:
        raise typer.BadParameter("a terminal that does not listen is of no use")
    with clear_errors():
        settings = load(context.obj)
        logs.configure("error", settings.instruments.logs)
        _run(_serve(settings, ("terminal",), role, lambda: load(context.obj)))


@cli.command(name="doctor")
def _doctor(context: typer.Context, role: RoleOption = Role.all) -> None:
    """Check settings, Redis, model, disk and each token, and say what to do."""
    with clear_errors():
        settings = load(context.obj)
        logs.configure("error", settings.instruments.logs)
        if not _run(doctor.examine(settings, role, Console())):
            raise typer.Exit(1)


@cli.command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("trialogue.toml"),
) -> None:
    """Ask for what is needed and write the settings file."""
    with clear_errors():
        wizard.ask(path, Console())


def main() -> None:
    cli()


async def _serve(
    settings: Settings, platforms: tuple[str, ...], role: Role, reread: Callable[[], Settings]
) -> None:
    def live() -> tuple[DialogueSettings, GuardSettings]:
        now = reread()
        read = build.dialogue(now), build.guard(now)
        offer(suggesting("persona", tuple(now.personas)))
        return read

    await asyncio.to_thread(disk.prepare, settings.data_dir)
    extensions = build.extensions(settings)
    async with open_store(build.store_settings(settings)) as store:
        engine, choices, embedder = None, {}, None
        if role.works:
            with _progress() as progress:
                engine = await build.engine(settings, progress)
                choices = await build.choices(settings, progress)
                embedder = await build.embedder(settings)
        model = settings.model.name if engine is None else engine.name
        plan = Plan(
            engine=engine,
            adapters=build.adapters(platforms, settings, store, model=model),
            listen=role.listens,
            alone=build.alone(settings),
            dialogue=build.dialogue(settings),
            files=build.files(settings),
            address=_address(settings, platforms, role),
            names=settings.http.names,
            instruments=build.instruments(settings),
            personas=settings.personas,
            models=choices,
            embedder=embedder,
            extensions=extensions,
            guard=build.guard(settings),
            drain_seconds=settings.drain_seconds,
        )
        with offering(*build.commands(settings, extensions)):
            bot = await run_until_signal(store, plan, lambda line: console.print(line, markup=False), live)
    if bot.refused_all:
        raise typer.Exit(1)


def _address(settings: Settings, platforms: tuple[str, ...], role: Role) -> tuple[str, int] | None:
    """Where to serve. Who needs it for no platform serves the API, if it is told where."""
    http = settings.http
    if http.port is None and (not role.listens or {"web", "telegram", "slack"}.isdisjoint(platforms)):
        return None
    return http.host, PORT if http.port is None else http.port


def _run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - there is none for Windows
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


@contextmanager
def _progress() -> Iterator[build.Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("model", total=1.0)
        yield lambda what, share: progress.update(bar, description=f"model: {what}", completed=share)
