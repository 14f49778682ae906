"""`trialogue memory`: look at what is remembered, take it out, bring it in. Forgetting is in `bots.forget`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bots import build
from bots.errors import clear_errors
from bots.settings import load
from core.store.consents import Consents
from core.store.export import Exporter
from core.store.forget import Person
from core.store.importing import Importer, encode_line
from core.store.store import Store, open_store
from core.store.walk import Seen, Walk
from core.turns import Conversation, Turn

cli = typer.Typer(help="Show, export, import or forget what is remembered.", no_args_is_help=True)
console = Console(highlight=False)
progress_console = Console(stderr=True, highlight=False)

_LATELY = 50  # the last turns may be forgotten ones

PersonOption = Annotated[
    str | None, typer.Option(help="A person, as platform/id: discord/80351110224678912.", metavar="PLATFORM/ID")
]


@cli.command()
def show(
    context: typer.Context,
    conversation: Annotated[str | None, typer.Argument(help="Its id; without one, all are listed.")] = None,
    last: Annotated[int, typer.Option(help="How many turns.", min=1)] = 20,
) -> None:
    """List the conversations, or the summary and the last turns of one."""
    run(_list(context) if conversation is None else _show(context, conversation, last))


@cli.command()
def export(
    context: typer.Context,
    conversation: Annotated[str | None, typer.Argument(help="Its id; without one, everything.")] = None,
    person: PersonOption = None,
    output: Annotated[Path | None, typer.Option(help="A file to write; else the standard output.")] = None,
) -> None:
    """Write all that is kept as JSON Lines: of a conversation, of a person, or of everybody."""
    if conversation is not None and person is not None:
        raise typer.BadParameter("name a conversation or a person")
    run(_export(context, conversation, None if person is None else parse_person(person), output))


@cli.command(name="import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `export` wrote.", exists=True, dir_okay=False)],
) -> None:
    """Add what an export has and this store has not. May be repeated."""
    run(_import(context, file))


async def _list(context: typer.Context) -> None:
    table = Table("conversation", "turns", "last", box=None)
    async with opened(context) as store:
        for conversation in {conversation: None async for conversation in store.memory.conversations()}:
            if turns := await store.memory.turns(conversation, _LATELY):
                when = datetime.fromtimestamp(turns[-1].at, UTC)
                table.add_row(str(conversation), str(turns[-1].number), f"{when:%Y-%m-%d %H:%M} UTC")
    console.print(table if table.row_count else "Nothing is remembered yet.")


async def _show(context: typer.Context, name: str, last: int) -> None:
    async with opened(context) as store:
        conversation = await find(store, name)
        if (summary := await store.memory.summary(conversation)).text:
            console.print(f"[bold]summary of 1 to {summary.upto}[/]")
            console.print(summary.text, markup=False)
        _print(await store.memory.turns(conversation, last), conversation.platform)
        for turns in await store.memory.branches(conversation):
            console.print(f"[bold]left when {turns[0].number} was changed[/]")
            _print(turns[-last:], conversation.platform)


def _print(turns: Iterable[Turn], platform: str) -> None:
    for turn in turns:
        who = f"{turn.speaker.name} {platform}/{turn.speaker.id}" if turn.speaker else "bot"
        console.print(f"[bold]{turn.number} {who}[/]" + (f" ({turn.cut})" if turn.cut else ""))
        console.print(turn.text, markup=False)


async def _export(context: typer.Context, name: str | None, person: Person | None, output: Path | None) -> None:
    async with opened(context) as store:
        with passing() as seen:
            agreed = frozenset(map(parse_person, load(context.obj).memory.agreed))
            agreed = await Consents(store.client).agreed(agreed)
            exporter = Exporter(store.client, store.inbox, seen, agreed)
            if person is not None:
                records = exporter.person(person)
            elif name is not None:
                records = exporter.conversation(await find(store, name))
            else:
                records = exporter.everything()
            with output.open("wb") if output else nullcontext(sys.stdout.buffer) as file:
                async for record in records:
                    file.write(encode_line(record) + b"\n")


async def _import(context: typer.Context, path: Path) -> None:
    settings = build.store_settings(load(context.obj))
    async with open_store(settings) as store:
        with path.open("rb") as file:
            lines = await Importer(store.client, store.inbox, most=settings.max_turns).read(file)
    console.print(f"Read: {lines} lines.")


def parse_person(text: str) -> Person:
    platform, slash, name = text.partition("/")
    if not (platform and slash and name):
        raise typer.BadParameter(f"{text!r} is no person: write platform/id")
    return Person(platform, name)


async def find(store: Store, name: str) -> Conversation:
    async for conversations in Walk(store.client).conversations(["c", "q", "t"]):
        for conversation in conversations:
            if str(conversation) == name:
                return conversation
    raise typer.BadParameter(f"there is no conversation {name!r}; `trialogue memory show` lists them")


def run(main: Coroutine[Any, Any, None]) -> None:
    with clear_errors():
        asyncio.run(main)


@asynccontextmanager
async def opened(context: typer.Context) -> AsyncIterator[Store]:
    async with open_store(build.store_settings(load(context.obj))) as store:
        yield store


@contextmanager
def passing() -> Iterator[Seen]:
    """How far a pass through the store is, for who watches."""
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed:.0f} keys"), TimeElapsedColumn())
    with Progress(
        *columns, console=progress_console, transient=True, disable=not progress_console.is_terminal
    ) as progress:
        task = progress.add_task("looking through the store")
        yield partial(progress.advance, task)
