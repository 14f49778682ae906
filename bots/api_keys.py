"""`trialogue keys`: the keys with which programs and people come over HTTP."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bots.memory import opened, run
from bots.settings import BadSettings
from core.store.api_keys import ApiKey, ApiKeys

cli = typer.Typer(help="Make, list and revoke the keys of the API and the page.", no_args_is_help=True)
console = Console(highlight=False)
told = Console(stderr=True, highlight=False)

Limit = Annotated[int, typer.Option(min=0, help="0: no limit.")]


@cli.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose it is, for the list.")],
    requests_per_minute: Limit = 0,
    tokens_per_minute: Limit = 0,
    admin: Annotated[bool, typer.Option("--admin", help="For the operator's page as well.")] = False,
) -> None:
    """Make a key and write it once. From the first key on, nobody is served without one."""
    if not name.strip() or len(name) > 64:
        raise typer.BadParameter("a name has from 1 to 64 characters")
    run(_add(context, name.strip(), requests_per_minute, tokens_per_minute, admin))


@cli.command(name="list")
def list_(context: typer.Context) -> None:
    """List the keys, without what they open."""
    run(_list(context))


@cli.command()
def revoke(
    context: typer.Context, key: Annotated[str, typer.Argument(help="Its id or its name, as `list` shows them.")]
) -> None:
    """Let a key be used no more. What it still streams ends within seconds."""
    run(_revoke(context, key))


async def _add(context: typer.Context, name: str, requests: int, tokens: int, admin: bool) -> None:
    async with opened(context) as store:
        secret, key = await ApiKeys(store.client).add(
            name,
            scope="admin" if admin else "api",
            requests_per_minute=requests,
            tokens_per_minute=tokens,
        )
    told.print(f"Key {key.id} of {name}. It is shown only now:", markup=False)
    console.print(secret, markup=False, soft_wrap=True)


async def _list(context: typer.Context) -> None:
    async with opened(context) as store:
        keys = await ApiKeys(store.client).all()
    table = Table("id", "name", "for", "requests/min", "tokens/min", "made", "state", box=None)
    for key in keys:
        limits = (str(key.requests_per_minute or "-"), str(key.tokens_per_minute or "-"))
        table.add_row(key.id, key.name, key.scope, *limits, _day(key.created), _state(key))
    console.print(table if keys else "There is no key: only this machine is served, and without one.")


async def _revoke(context: typer.Context, name: str) -> None:
    async with opened(context) as store:
        revoked = await ApiKeys(store.client).revoke(name)
    if not revoked:
        raise BadSettings(f"no valid key has the id or the name {name!r}; `trialogue keys list` shows them")
    told.print("Revoked: " + ", ".join(f"{key.id} of {key.name}" for key in revoked), markup=False)


def _state(key: ApiKey) -> str:
    return "valid" if key.is_valid else f"revoked {_day(key.revoked)}"


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
