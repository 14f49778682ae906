"""What was set aside because nobody could answer it: what the operator is told of it, and `trialogue retry`."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from adapters import Finding
from bots import build
from bots.errors import clear_errors
from bots.settings import load
from core.store.aside import Aside, SetAside
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from core.store.unread import Found, Unread

_SHOWN = 20

console = Console(highlight=False)


async def findings(store: Store) -> list[Finding]:
    """One for each of the newest turns that were set aside: which, where, how often and when. No word of them."""
    entries = await Aside(store.client, store.inbox).all()
    told = [Finding(False, _describe(entry), f"trialogue retry {entry.event.id}") for entry in entries[-_SHOWN:]]
    if len(entries) > _SHOWN:
        told.append(Finding(False, f"{len(entries) - _SHOWN} older turns were set aside", "trialogue retry --all"))
    return [*told, *_unread(await Unread(store.client, store.inbox).look())]


def _unread(found: Found) -> list[Finding]:
    told = []
    if found.unreadable:
        what = f"{_messages(found.unreadable)} that cannot be read, kept: {found.why}"
        told.append(Finding(False, what, "Then: trialogue retry --all"))
    if found.readable:
        what = f"{_messages(found.readable)} that could not be read, and can be now"
        told.append(Finding(False, what, "trialogue retry --all"))
    return told


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def retry(
    context: typer.Context,
    event: Annotated[str | None, typer.Argument(help="Its id, as `trialogue doctor` lists it.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that were set aside, or can be read by now.")
    ] = False,
) -> None:
    """Have a turn that was set aside answered once more."""
    if (event is None) == (not everything):
        raise typer.BadParameter("name one turn, or say --all")
    with clear_errors():
        asyncio.run(_retry(build.store_settings(load(context.obj)), event))


async def _retry(settings: StoreSettings, event: str | None) -> None:
    async with open_store(settings) as store:
        aside = Aside(store.client, store.inbox)
        entries = [entry for entry in await aside.all() if event in (None, entry.event.id)]
        if event is not None and not entries:
            raise typer.BadParameter(f"no turn {event!r} was set aside; `trialogue doctor` lists them")
        for entry in entries:
            await aside.retry(entry)
        count = len(entries) + (await Unread(store.client, store.inbox).retry() if event is None else 0)
        workers = await store.fleet.others()
    console.print(f"To be answered again: {count}." + ("" if workers else " No worker is there now."))


def _describe(entry: SetAside) -> str:
    since = datetime.fromtimestamp(entry.since, UTC)
    return f"{entry.event.room.platform}: set aside after {entry.tries} tries, {since:%Y-%m-%d %H:%M} UTC"
