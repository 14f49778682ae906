"""Who we are on Discord. Knows no room."""

import base64
import binascii
import logging
from dataclasses import dataclass
from typing import Any

import discord  # noqa: TID251

from adapters.discord.rest import Rejected, Rest
from adapters.discord.settings import DiscordSettings

log = logging.getLogger(__name__)


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
    try:
        application = await rest.message("GET", "/oauth2/applications/@me")
    except Rejected as exc:
        # Somebody else's server may not know it. A bot's application nearly always has the bot's own id.
        log.warning("the application is not told: %s", exc)
        application = {"id": me["id"]}
    return Account(
        bot=str(me["id"]),
        name=str(me.get("username", "")),
        application=str(application["id"]),
        reads_content=_reads_content(application.get("flags")),
    )


def _reads_content(flags: Any) -> bool:
    """Where it is not told, the gateway tells when we ask for more than we may."""
    if flags is None:
        return True
    known = discord.ApplicationFlags()
    known.value = int(flags)
    return known.gateway_message_content or known.gateway_message_content_limited


def bot_of(settings: DiscordSettings) -> str | None:
    """The bot's id as a token tells it: its first part is the id in base64. None for a token of another form."""
    encoded = settings.token.partition(".")[0]
    try:
        decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return decoded if decoded.isdigit() else None
