"""The slash command and its subcommands. Each is answered at once, to the person alone; what changes a
conversation is accepted first, and its reply comes into the room as any other.

Slack has no slash commands within threads, and does not say to which thread one belongs. So a command in a channel
can mean the channel (its persona), and never one of its conversations.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.slack.events import LACKS, Account, Address
from adapters.slack.intake import TAKEN_WITHIN
from adapters.slack.names import Names
from adapters.slack.standing import NOT_HERE, standing
from core.commands import Command as Meant
from core.commands import find, lines
from core.errors import CoreError
from core.languages import msgid, translated
from core.turns import Conversation, Event, Inbox, Speaker

log = logging.getLogger(__name__)

WHERE = msgid(
    "In a direct message I answer everything; in a channel when you mention me, and from then on in the thread "
    "under it."
)
BANG = msgid("Slack has no slash commands in threads: write `!help`, `!reset` and so on there.")

_UNKNOWN = msgid("I know no such command. `/trialogue help` tells which there are.")
_WHICH_THREAD = msgid(
    "Each thread here is a conversation of its own, and a slash command does not say which one you mean. "
    "Write `!reset` or `!stop` in the thread."
)
LATE = msgid("I could not do that in time. Please try again.")
_STOPPING = msgid("I stop.")


class Command(msgspec.Struct, frozen=True):
    """What we read of https://docs.slack.dev/interactivity/implementing-slash-commands"""

    channel_id: str
    user_id: str
    trigger_id: str
    text: str = ""
    user_name: str = ""


class Commands:
    """Answers the slash command for the bot `me`."""

    def __init__(self, inbox: Inbox, client: AsyncWebClient, me: Account, names: Names) -> None:
        self._inbox = inbox
        self._client = client
        self._me = me
        self._names = names

    async def answer(self, payload: Mapping[str, Any]) -> str:
        """What to tell the person; empty when the reply comes into the room."""
        try:
            command = msgspec.convert(payload, Command)
        except msgspec.ValidationError as exc:
            log.warning("a command that cannot be read is left out: %s", type(exc).__name__)
            return _UNKNOWN
        await self._names.of([command.user_id])
        locale = self._names.locale(command.user_id)
        word, _, rest = command.text.strip().partition(" ")
        meant = find(word or "help")
        if meant is None:
            return translated(_UNKNOWN, locale)
        if meant.kind == "help":
            return _help(locale)
        return translated(await self._in_time(command, meant, rest.strip()), locale)

    async def _in_time(self, command: Command, meant: Meant, text: str) -> str:
        try:
            async with asyncio.timeout(TAKEN_WITHIN):
                return await self._do(command, meant, text)
        except TimeoutError:
            return LATE
        except CoreError as exc:
            log.warning("a command was not taken: %s", exc)
            return exc.reply

    async def _do(self, command: Command, meant: Meant, text: str) -> str:
        where = await standing(self._client, command.channel_id)
        if where == "outside":
            return NOT_HERE
        if where == "member" and meant.of == "conversation":
            return _WHICH_THREAD
        event = to_event(
            command,
            meant,
            text,
            self._me,
            at=time.time(),
            direct=where == "direct",
            manages=self._names.manages(command.user_id),
            locale=self._names.locale(command.user_id),
        )
        await self._inbox.accept(event)
        return _STOPPING if event.kind == "stop" else ""


def to_event(
    command: Command, meant: Meant, text: str, me: Account, *, at: float, direct: bool, manages: bool, locale: str
) -> Event:
    """The event of a slash command that was `meant`, with `text` behind it, which came at that time. `manages`:
    whoever gave it manages the workspace."""
    kind, said = meant.asked(text)
    room = Address(command.channel_id, None, f"{at:.6f}").room(me)
    return Event(
        id=f"slack:{me.id}:{command.channel_id}:command:{command.trigger_id}",
        kind=kind,
        room=room,
        conversation=Conversation.of(room, command.channel_id),
        speaker=Speaker(command.user_id, command.user_name),
        text=said,
        at=at,
        server=me.team,
        shared=not direct,
        manages=direct or manages,
        locale=locale,
    )


def _help(locale: str) -> str:
    named = lines("/trialogue ", locale).replace("- `", "• `")
    return f"{translated(WHERE, locale)}\n{named}\n{translated(BANG, locale)}\n{translated(LACKS, locale)}"
