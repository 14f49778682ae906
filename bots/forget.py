"""`trialogue memory forget`: what an operator is asked before something goes for good, and where it still is."""

from typing import Annotated

import typer

from bots.memory import PersonOption, console, find, opened, parse_person, passing, run
from core.store import logfile
from core.store.forget import Forget


def forget(
    context: typer.Context,
    conversation: Annotated[str | None, typer.Argument(help="Its id, as `show` lists it.")] = None,
    person: PersonOption = None,
    room: Annotated[
        str | None, typer.Option(help="A channel or chat with all its threads, as `show` lists it.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(help="A Discord server or a Slack workspace.", metavar="PLATFORM/ID"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget a conversation, a person, a room, a server, or everything. This cannot be undone."""
    named = [name for name in (conversation, person, room, server) if name is not None]
    if len(named) + everything != 1:
        raise typer.BadParameter("name one conversation, --person, --room or --server, or say --all")
    if not yes:
        typer.confirm(f"Forget {named[0] if named else 'everything'} for good?", abort=True)
    run(_forget(context, conversation, person, room, server))


async def _forget(
    context: typer.Context, conversation: str | None, person: str | None, room: str | None, server: str | None
) -> None:
    async with opened(context) as store:
        with passing() as seen:
            forget = Forget(store.client, store.inbox, seen)
            if conversation is not None:
                count = await forget.conversation(await find(store, conversation))
            elif person is not None:
                count = await forget.person(parse_person(person))
            elif room is not None:
                count = await forget.room(room)
            elif server is not None:
                of = parse_person(server)
                count = await forget.server(of.platform, of.id)
            else:
                count = await forget.everything()
        if store.client.is_embedded:
            await logfile.rewrite(store.client)
    console.print(f"Forgotten: {count} {'conversation' if count == 1 else 'conversations'}.")
    if store.client.is_embedded:
        console.print("The server's append-only file was rewritten: it is not in there either.")
    else:
        console.print(
            "It is in the server's append-only file until that is rewritten (BGREWRITEAOF), and in its backups."
        )
