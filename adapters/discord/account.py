"""Who we are on Discord. Knows no room."""

import base64
import binascii
from dataclasses import dataclass

import discord  # noqa: TID251

from adapters.discord.rest import Rest
from adapters.discord.settings import DiscordSettings


@dataclass(frozen=True, slots=True)
class Account:
    """The bot's user, its application, and whether that may read what does not mention it."""

    bot: str
    name: str
    application: str
    reads_content: bool


async def ask(rest: Rest) -> Account:
    """Open `rest` and ask who its token is. Raises what `Rest.open` and `Rest.call` raise."""
    me = await rest.open()
    application = await rest.message("GET", "/applications/@me")
    flags = discord.ApplicationFlags()
    flags.value = int(application.get("flags") or 0)
    return Account(
        bot=str(me["id"]),
        name=str(me.get("username", "")),
        application=str(application["id"]),
        reads_content=flags.gateway_message_content or flags.gateway_message_content_limited,
    )


def bot_of(settings: DiscordSettings) -> str | None:
    """The bot's id as a token tells it: its first part is the id in base64. None for a token of another form."""
    encoded = settings.token.partition(".")[0]
    try:
        decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return decoded if decoded.isdigit() else None
