"""The bot's commands, and how Discord learns of them. Knows nothing of what they do."""

import hashlib
import logging
from datetime import timedelta
from typing import Any

import msgspec

from adapters.discord.rest import Rest
from core.commands import Command, ask_about, commands, find
from core.languages import SOURCE, translated
from core.turns import Inbox

log = logging.getLogger(__name__)

TEXT_LIMIT = 2000
"""The longest text that Discord lets a person type after a command, in characters."""

_IN_SERVERS = [0]  # integration_types: installed in a server, which also opens direct messages
_EVERYWHERE = [0, 1]  # contexts: in a server, and in a direct message with the bot
_TEXT = 3  # an option that is a string
_ON_MESSAGES = 3  # a command's type: it stands in the menu of messages
_LONGEST_NAME = 32
_MOST_CHOICES = 25
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
        text: dict[str, Any] = {"type": _TEXT, "name": "text", "required": False}
        if command.free:
            text |= {"max_length": TEXT_LIMIT, "autocomplete": bool(command.choices)}
        else:
            text["choices"] = [_choice(choice) for choice in command.choices[:_MOST_CHOICES]]
        known["options"] = [text | _described(command.argument)]
    return known


def _choice(text: str) -> dict[str, Any]:
    return {"name": text, "value": text}


def _about_messages(bot: str) -> dict[str, Any]:
    names = {locale: language for language, locales in _LOCALES.items() for locale in locales}
    return {
        "name": ask_about(bot, SOURCE, most=_LONGEST_NAME),
        "name_localizations": {name: ask_about(bot, own, most=_LONGEST_NAME) for name, own in names.items()},
        "type": _ON_MESSAGES,
        "integration_types": _IN_SERVERS,
        "contexts": _EVERYWHERE,
    }


def offered(bot: str) -> list[dict[str, Any]]:
    """As https://discord.com/developers/docs/interactions/application-commands describes them, for the bot that is
    called `bot`."""
    return [*map(_command, commands()), _about_messages(bot)]


def completed(name: str, typed: str) -> list[dict[str, Any]]:
    """What the text of the command `name` may become that begins with `typed`."""
    choices = () if (command := find(name)) is None else command.choices
    return [_choice(each) for each in choices if each.lower().startswith(typed.lower())][:_MOST_CHOICES]


async def register(rest: Rest, inbox: Inbox, application: str, bot: str) -> None:
    """Have Discord offer what is `offered` everywhere, if it does not yet. Asks only when it has changed.

    Raises what `rest` raises, and `StoreUnavailable`.
    """
    known = offered(bot)
    digest = hashlib.blake2b(msgspec.json.encode(known), digest_size=16).hexdigest().encode()
    key = f"discord/{application}/commands"
    if await inbox.get(key) == digest:
        return
    await rest.call("PUT", "/applications/{application_id}/commands", known, application_id=application)
    await inbox.set(key, digest, expires=_REMEMBERED)
    log.info("commands are registered for application %s", application)
