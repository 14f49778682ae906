"""The bot's slash commands, and how Discord learns of them. Knows nothing of what they do."""

import hashlib
import logging
from datetime import timedelta
from typing import Any

import msgspec

from adapters.discord.rest import Rest
from core.commands import COMMANDS, Command
from core.languages import translated
from core.turns import Inbox

log = logging.getLogger(__name__)

TEXT_LIMIT = 2000
"""The longest text that Discord lets a person type after a command, in characters."""

_IN_SERVERS = [0]  # integration_types: installed in a server, which also opens direct messages
_EVERYWHERE = [0, 1]  # contexts: in a server, and in a direct message with the bot
_TEXT = 3  # an option that is a string
_REMEMBERED = timedelta(days=30)


# Discord's name for each of our languages: https://docs.discord.com/developers/reference#locales
_LOCALES = {"de": ("de",), "es": ("es-ES", "es-419"), "zh": ("zh-CN",)}


def _described(sentence: str) -> dict[str, Any]:
    """As it is, and in our other languages."""
    said = {locale: translated(sentence, language) for language, names in _LOCALES.items() for locale in names}
    return {"description": sentence, "description_localizations": said}


def _command(command: Command) -> dict[str, Any]:
    known: dict[str, Any] = {
        "name": command.name,
        "type": 1,
        "integration_types": _IN_SERVERS,
        "contexts": _EVERYWHERE,
        **_described(command.about),
    }
    if command.argument:
        text = {"type": _TEXT, "name": "text", "required": False, "max_length": TEXT_LIMIT}
        known["options"] = [text | _described(command.argument)]
    return known


OFFERED = [_command(command) for command in COMMANDS]
"""As https://discord.com/developers/docs/interactions/application-commands describes them."""


async def register(rest: Rest, inbox: Inbox, application: str) -> None:
    """Have Discord offer `OFFERED` everywhere, if it does not yet. Asks only when they have changed.

    Raises what `rest` raises, and `StoreUnavailable`.
    """
    digest = hashlib.blake2b(msgspec.json.encode(OFFERED), digest_size=16).hexdigest().encode()
    key = f"discord/{application}/commands"
    if await inbox.get(key) == digest:
        return
    await rest.call("PUT", "/applications/{application_id}/commands", OFFERED, application_id=application)
    await inbox.set(key, digest, expires=_REMEMBERED)
    log.info("slash commands are registered for application %s", application)
