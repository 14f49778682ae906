"""The command `trialogue`: what a person types, and nothing of how it is done."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bots import build, disk, doctor, memory, wizard
from bots.app import Plan, run_until_signal
from bots.errors import clear_errors
from bots.settings import BadSettings, Settings, load
from core.store.store import open_store

# Locals in a traceback would show tokens.
cli = typer.Typer(
    help="Your own chat model in Discord, Telegram and Slack.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
cli.add_typer(memory.cli, name="memory")
console = Console(stderr=True, highlight=False)

CHATTY = ("aiohttp", "discord", "httpx", "markdown_it", "openai", "slack_bolt", "slack_sdk", "telegram", "uvicorn")
"""Libraries that tell, below their warnings, of every connection, request or line of a message."""


T = TypeVar("T")


class Platform(StrEnum):
    discord = "discord"
    telegram = "telegram"
    slack = "slack"
    web = "web"


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
) -> None:
    """Run the bot on the platforms named."""
    with clear_errors():
        settings = load(context.obj)
        named = tuple(dict.fromkeys(platform.value for platform in platforms or ()))
        names = named or (*settings.platforms, "web")
        for name in names:
            if name != "web" and name not in settings.platforms:
                raise BadSettings(f"{name} has no token; `trialogue init` tells where to get one")
        _log(settings.log_level)
        _run(_serve(settings, names, address=(settings.http.host, settings.http.port)))


@cli.command()
def chat(context: typer.Context) -> None:
    """Talk in this terminal."""
    with clear_errors():
        settings = load(context.obj)
        _log("error")
        _run(_serve(settings, ("terminal",), address=None))


@cli.command(name="doctor")
def _doctor(context: typer.Context) -> None:
    """Check settings, Redis, model, disk and each token, and say what to do."""
    with clear_errors():
        settings = load(context.obj)
        _log("error")
        if not _run(doctor.examine(settings, Console())):
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


async def _serve(settings: Settings, platforms: tuple[str, ...], *, address: tuple[str, int] | None) -> None:
    await asyncio.to_thread(disk.prepare, settings.data_dir)
    async with open_store(build.store_settings(settings)) as store:
        with _progress() as progress:
            engine = await build.engine(settings, progress)
        served = any(platform in {"web", "telegram", "slack"} for platform in platforms)
        plan = Plan(
            engine=engine,
            adapters=build.adapters(platforms, settings, store.fleet, model=engine.name),
            dialogue=build.dialogue(settings),
            address=address if served else None,
        )
        bot = await run_until_signal(store, plan, lambda line: console.print(line, markup=False))
    if bot.refused_all:
        raise typer.Exit(1)


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


def _log(level: str) -> None:
    logging.basicConfig(
        level=level.upper(),
        format="%(name)s: %(message)s",
        datefmt="[%X]",
        handlers=[RichHandler(console=console, show_path=False)],
    )
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
