"""`trialogue memory`: look at what is remembered, take it out, forget it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from bots import build
from bots.errors import clear_errors
from bots.settings import load
from core.store.aside import Aside
from core.store.store import Store, open_store
from core.turns import Conversation

cli = typer.Typer(help="Show, export or forget what is remembered.", no_args_is_help=True)
console = Console(highlight=False)


@cli.command()
def show(
    context: typer.Context,
    conversation: Annotated[str | None, typer.Argument(help="Its id; without one, all are listed.")] = None,
    last: Annotated[int, typer.Option(help="How many turns.", min=1)] = 20,
) -> None:
    """List the conversations, or the last turns of one."""
    _run(_list(context) if conversation is None else _show(context, conversation, last))


@cli.command()
def export(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option(help="A file to write; else the standard output.")] = None,
) -> None:
    """Write every turn as a line of JSON."""
    _run(_export(context, output))


@cli.command()
def forget(
    context: typer.Context,
    conversation: Annotated[str | None, typer.Argument(help="Its id, as `show` lists it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Forget every conversation.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget a conversation, or all of them. This cannot be undone."""
    if (conversation is None) == (not everything):
        raise typer.BadParameter("name one conversation, or say --all")
    if not yes:
        typer.confirm(f"Forget {conversation or 'every conversation'} for good?", abort=True)
    _run(_forget(context, conversation))


async def _list(context: typer.Context) -> None:
    table = Table("conversation", "turns", "last", box=None)
    async with _store(context) as store:
        async for conversation in store.memory.conversations():
            if turns := await store.memory.turns(conversation, 1):
                when = datetime.fromtimestamp(turns[-1].at, UTC)
                table.add_row(str(conversation), str(turns[-1].number), f"{when:%Y-%m-%d %H:%M} UTC")
    console.print(table if table.row_count else "Nothing is remembered yet.")


async def _show(context: typer.Context, name: str, last: int) -> None:
    async with _store(context) as store:
        conversation = await _find(store, name)
        for turn in await store.memory.turns(conversation, last):
            who = turn.speaker.name or turn.speaker.id if turn.speaker else "bot"
            console.print(f"[bold]{turn.number} {who}[/]" + (f" ({turn.cut})" if turn.cut else ""))
            console.print(turn.text, markup=False)


async def _export(context: typer.Context, output: Path | None) -> None:
    encode = msgspec.json.Encoder().encode
    with output.open("wb") if output else sys.stdout.buffer as file:
        async with _store(context) as store:
            async for conversation, turn in store.memory.export():
                file.write(encode({"conversation": str(conversation), "turn": turn}) + b"\n")


async def _forget(context: typer.Context, name: str | None) -> None:
    async with _store(context) as store:
        aside = Aside(store.client, store.inbox)
        if name is None:
            conversations = {entry.event.conversation for entry in await aside.all()}
            conversations |= {c async for c in store.memory.conversations()}
        else:
            conversations = {await _find(store, name)}
        for conversation in conversations:
            await store.memory.forget(conversation)
            await aside.forget(conversation)
    console.print(f"Forgotten: {len(conversations)}.")


async def _find(store: Store, name: str) -> Conversation:
    async for conversation in store.memory.conversations():
        if str(conversation) == name:
            return conversation
    raise typer.BadParameter(f"there is no conversation {name!r}; `trialogue memory show` lists them")


def _run(main: Coroutine[Any, Any, None]) -> None:
    with clear_errors():
        asyncio.run(main)


@asynccontextmanager
async def _store(context: typer.Context) -> AsyncIterator[Store]:
    async with open_store(build.store_settings(load(context.obj))) as store:
        yield store
