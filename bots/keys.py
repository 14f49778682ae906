"""`trialogue memory rotate-keys`: what is kept is encrypted anew with the first key, so that the others may go."""

import typer

from bots.errors import clear_errors
from bots.memory import console, opened, passing, run
from bots.settings import BadSettings, load
from core.store.renewal import rotate


def rotate_keys(context: typer.Context) -> None:
    """Encrypt all that is kept with the first of redis.encryption_keys, while the bot runs. May be repeated."""
    with clear_errors():
        if not load(context.obj).redis.encryption_keys.get_secret_value():
            raise BadSettings("redis.encryption_keys is not set; a key comes from: openssl rand -base64 32")
    run(_rotate(context))


async def _rotate(context: typer.Context) -> None:
    async with opened(context) as store:
        with passing() as seen:
            count = await rotate(store.client, seen)
    console.print(f"Encrypted anew: {count} records. The first key opens all that is kept.")
