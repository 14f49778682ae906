"""`trialogue memory backup`: a copy of the embedded server's files, taken while the bot runs."""

from pathlib import Path
from typing import Annotated

import typer

from bots.memory import console, opened, run
from core.store.backup import back_up


def backup(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder to make, for the copy.")],
) -> None:
    """Copy the embedded server's files, while the bot runs."""
    if folder.exists():
        raise typer.BadParameter(f"{folder} is there already")
    run(_backup(context, folder))


async def _backup(context: typer.Context, folder: Path) -> None:
    async with opened(context) as store:
        try:
            await back_up(store.client, folder)
        except OSError as exc:
            raise typer.BadParameter(f"{folder} cannot be written: {exc.strerror}") from exc
        into = store.client.folder
    console.print(f"Copied. To restore: end all processes, and put what is in {folder} into {into}.")
