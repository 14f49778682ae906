"""The message shortcut: somebody asks the bot about a message, in that message's menu.

The answer goes into the thread under the message, and in a direct message below it. What else there is to say is
said to the person alone.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.slack.commands import LATE
from adapters.slack.events import Account, Address, Message, quoted
from adapters.slack.intake import TAKEN_WITHIN
from adapters.slack.names import Names
from adapters.slack.readable import mentioned
from adapters.slack.standing import NOT_HERE, Standing, standing
from adapters.slack.threads import Threads
from core.commands import ABOUT_THIS
from core.errors import CoreError
from core.languages import translated
from core.turns import Conversation, Event, Inbox, Speaker

log = logging.getLogger(__name__)


class _Named(msgspec.Struct, frozen=True):
    id: str
    name: str = ""


class Asked(msgspec.Struct, frozen=True):
    """What we read of https://docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload"""

    user: _Named
    channel: _Named
    action_ts: str
    message: dict[str, Any]

    @property
    def about(self) -> Message:
        return msgspec.convert({**self.message, "type": "message", "channel": self.channel.id}, Message)


class Shortcut:
    """Takes what is asked of the bot `me`."""

    def __init__(self, inbox: Inbox, client: AsyncWebClient, me: Account, names: Names, threads: Threads) -> None:
        self._inbox = inbox
        self._client = client
        self._me = me
        self._names = names
        self._threads = threads

    async def take(self, payload: Mapping[str, Any]) -> str:
        """What to tell the person; empty when the answer comes into the room."""
        try:
            asked = msgspec.convert(payload, Asked)
            about, _ = asked.about, float(asked.action_ts)
        except (msgspec.ValidationError, ValueError) as exc:
            log.warning("a shortcut that cannot be read is left out: %s", type(exc).__name__)
            return ""
        try:
            async with asyncio.timeout(TAKEN_WITHIN):
                where = await standing(self._client, about.channel)
                if where != "outside":
                    await self._accept(asked, about, where)
                sentence = NOT_HERE if where == "outside" else ""
        except TimeoutError:
            sentence = LATE
        except CoreError as exc:
            log.warning("a shortcut was not taken: %s", exc)
            sentence = exc.reply
        return translated(sentence, self._names.locale(asked.user.id))

    async def _accept(self, asked: Asked, about: Message, where: Standing) -> None:
        people = {asked.user.id, about.user or "", *mentioned(about.text or "")} - {""}
        names = await self._names.of(sorted(people))
        locale = self._names.locale(asked.user.id)
        event = to_event(asked, self._me, names, direct=where == "direct", locale=locale)
        if event.shared:
            await self._threads.join(about.channel, event.conversation.thread)
        await self._inbox.accept(event)


def to_event(asked: Asked, me: Account, names: Mapping[str, str], *, direct: bool, locale: str) -> Event:
    """The event in which the bot `me` is asked about a message. `names` leads from user ids to names, and `locale`
    is that of whoever asks.

    Raises `msgspec.ValidationError` and `ValueError` for a message that is not as Slack describes it.
    """
    about = asked.about
    thread = about.thread_ts or ("" if direct else about.ts)
    room = Address(about.channel, thread or None, asked.action_ts).room(me)
    return Event(
        id=f"slack:{me.id}:{about.channel}:{about.ts}:ask:{asked.user.id}:{asked.action_ts}",
        room=room,
        conversation=Conversation.of(room, about.channel, thread),
        speaker=Speaker(asked.user.id, names.get(asked.user.id, asked.user.name)),
        text=translated(ABOUT_THIS, locale),
        at=float(asked.action_ts),
        server=me.team,
        shared=not direct,
        quotes=tuple(quoted([asked.message], me, names)),
        files=tuple(file.kind for file in about.files or ()),
        attachments=tuple(
            replace(file.attachment(me.team), speaker=about.user or "") for file in about.files or ()
        ),
        alone=True,
        locale=locale,
    )
