"""The slash command and its subcommands. Each is answered at once, to the person alone; what changes a
conversation is accepted first, and its reply comes into the room as any other.

Slack has no slash commands within threads, and does not say to which thread one belongs. So a command in a channel
can mean the channel (its persona), and never one of its conversations.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.slack.client import FAILURES, error_of
from adapters.slack.events import Account, Address
from adapters.slack.intake import TAKEN_WITHIN
from adapters.slack.names import Names
from core.errors import CoreError
from core.languages import msgid, translated
from core.turns import Conversation, Event, Inbox, Kind, Speaker

log = logging.getLogger(__name__)

HELP = msgid("""\
In a direct message I answer everything; in a channel when you mention me, and from then on in the thread under it.
• `/trialogue persona` and a text tells me who to be in this place; alone it brings back my usual self
• `/trialogue reset` makes me forget our direct messages
• `/trialogue stop` ends the answer that I am writing there
In a thread write `!help`, `!reset`, `!persona` or `!stop`.""")

_UNKNOWN = msgid("I know no such command. `/trialogue help` tells which there are.")
_WHICH_THREAD = msgid(
    "Each thread here is a conversation of its own, and a slash command does not say which one you mean. "
    "Write `!reset` or `!stop` in the thread."
)
_NOT_HERE = msgid("I am not in this conversation. Invite me with `/invite`, or write to me directly.")
_LATE = msgid("I could not do that in time. Please try again.")
_STOPPING = msgid("I stop.")

_Standing = Literal["direct", "member", "outside"]


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
        match word.lower():
            case "" | "help":
                return translated(HELP, locale)
            case "reset" | "stop" | "persona" as kind:
                return translated(await self._in_time(command, kind, rest.strip()), locale)
            case _:
                return translated(_UNKNOWN, locale)

    async def _in_time(self, command: Command, kind: Kind, text: str) -> str:
        try:
            async with asyncio.timeout(TAKEN_WITHIN):
                return await self._do(command, kind, text)
        except TimeoutError:
            return _LATE
        except CoreError as exc:
            log.warning("a command was not taken: %s", exc)
            return exc.reply

    async def _do(self, command: Command, kind: Kind, text: str) -> str:
        standing = await self._standing(command.channel_id)
        if standing == "outside":
            return _NOT_HERE
        if standing == "member" and kind != "persona":
            return _WHICH_THREAD
        await self._inbox.accept(self._event(command, kind, text))
        return _STOPPING if kind == "stop" else ""

    def _event(self, command: Command, kind: Kind, text: str) -> Event:
        now = time.time()
        room = Address(command.channel_id, None, f"{now:.6f}").room(self._me)
        return Event(
            id=f"slack:{self._me.id}:{command.channel_id}:command:{command.trigger_id}",
            kind=kind,
            room=room,
            conversation=Conversation.of(room, command.channel_id),
            speaker=Speaker(command.user_id, command.user_name),
            text=text,
            at=now,
            server=self._me.team,
            locale=self._names.locale(command.user_id),
        )

    async def _standing(self, channel: str) -> _Standing:
        """A command works all over the workspace, also where the bot is not: between two other people."""
        try:
            info = (await self._client.conversations_info(channel=channel))["channel"]
        except FAILURES as exc:
            if error_of(exc) == "channel_not_found":
                return "outside"
            # Whether we may write there shows when we do.
            log.info("nothing known about %s: %s", channel, error_of(exc) or type(exc).__name__)
            return "direct" if channel.startswith("D") else "member"
        if info.get("is_im"):
            return "direct"
        return "member" if info.get("is_member") or info.get("is_mpim") else "outside"
