"""The menus of commands that Telegram shows: which to whom, and in which language. Knows nothing of what they do.

In groups nobody is offered what can be done in private chats only, and what holds for everybody there is offered
to administrators alone.
"""

from collections.abc import Iterator, Sequence

from telegram import (  # noqa: TID251
    BotCommand,
    BotCommandScope,
    BotCommandScopeAllChatAdministrators,
    BotCommandScopeAllGroupChats,
    BotCommandScopeDefault,
)

from core.commands import Command, commands
from core.languages import LANGUAGES, SOURCE, translated

Menu = tuple[BotCommandScope, str | None, tuple[BotCommand, ...]]
"""Where it is shown, in which language (its code; `None`: to whoever has none of the others), and what it has."""


def menus() -> Iterator[Menu]:
    """All of them. Of those that fit Telegram takes the narrowest:
    https://core.telegram.org/bots/api#determining-list-of-commands"""
    everything = commands()
    in_groups = [each for each in everything if not each.alone]
    for scope, offered in (
        (BotCommandScopeDefault(), everything),
        (BotCommandScopeAllChatAdministrators(), in_groups),
        (BotCommandScopeAllGroupChats(), [each for each in in_groups if not each.for_managers]),
    ):
        for language in LANGUAGES:
            yield scope, None if language == SOURCE else language, tuple(_named(offered, language))


def _named(offered: Sequence[Command], language: str) -> Iterator[BotCommand]:
    for each in offered:
        yield BotCommand(each.name, translated(each.about, language))
