"""From updates to accepted events: what the polling loop and the webhook have in common.

Knows neither how an update came nor how its sender is told that we have it. An update is ours when `take` returns.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from telegram import ChatMember, Update, User  # noqa: TID251
from telegram.error import TelegramError  # noqa: TID251

from adapters.telegram.client import Client
from adapters.telegram.events import Address, moved, to_event
from adapters.telegram.homes import Homes
from adapters.telegram.queries import answer_query
from adapters.telegram.settings import Debounce
from core.errors import Overloaded
from core.languages import translated
from core.turns import Conversation, Event, Inbox

log = logging.getLogger(__name__)

ALLOWED_UPDATES = ("message", "edited_message", "callback_query")
"""The kinds of updates that Telegram is asked for: https://core.telegram.org/bots/api#getupdates"""

# What the library raises on an update that is not as the Bot API describes it.
_UNREADABLE = (AttributeError, KeyError, OSError, OverflowError, TypeError, ValueError)

# A full mailbox is told at most so often to one conversation, and to so many of them at once.
_TELL_EVERY = 60.0
_TELL_AT_ONCE = 16

_ADMINISTER = {ChatMember.OWNER, ChatMember.ADMINISTRATOR}


class Intake:
    """Takes updates for one bot, `me`. `group` is the parent of what goes on after `take` has returned."""

    def __init__(
        self, inbox: Inbox, client: Client, homes: Homes, me: User, group: asyncio.TaskGroup, debounce: Debounce
    ) -> None:
        self._inbox = inbox
        self._client = client
        self._homes = homes
        self._me = me
        self._group = group
        self._debounce = debounce
        self._told: OrderedDict[Conversation, float] = OrderedDict()
        self._telling = 0

    async def take(self, updates: Sequence[Mapping[str, Any]]) -> None:
        """Accept what is for us in `updates`, in their order; when this returns, it is durable.

        Raises `StoreUnavailable`: then nothing of it is promised, and all must come again.
        """
        waiting: dict[Conversation, list[Event]] = {}
        for payload in updates:
            if (event := await self._event(payload)) is not None:
                waiting.setdefault(event.conversation, []).append(event)
        if len(waiting) <= 1:
            for events in waiting.values():
                await self._accept(events)
            return
        try:
            async with asyncio.TaskGroup() as group:
                for events in waiting.values():
                    group.create_task(self._accept(events), name="accept")
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed

    async def _event(self, payload: Mapping[str, Any]) -> Event | None:
        try:
            update = Update.de_json(dict(payload))
            if (chats := moved(update)) is not None:
                await self._homes.move(self._inbox, str(self._me.id), *chats)
                return None
            if (chat := update.effective_chat) is None:
                return None
            home = await self._homes.home(self._inbox, str(self._me.id), chat.id)
            event = to_event(update, self._me, place=home, debounce=self._debounce)
            if event is not None and event.kind == "setting" and not event.manages:
                event = replace(event, manages=await self._administers(chat.id, int(event.speaker.id)))
        except _UNREADABLE as exc:
            log.warning(
                "an update that cannot be read is left out: %s: %s", payload["update_id"], type(exc).__name__
            )
            return None
        return event

    async def _administers(self, chat: int, person: int) -> bool:
        """Whether somebody is an administrator of a group. Not, where Telegram does not say it."""
        try:
            member = await self._client.get_chat_member(self._homes.now(chat), person)
        except TelegramError as exc:
            log.info("nobody says who administers %d: %s", chat, exc.message)
            return False
        return member.status in _ADMINISTER

    async def _accept(self, events: Sequence[Event]) -> None:
        for event in events:
            try:
                await self._inbox.accept(event)
            except Overloaded as exc:
                log.warning("not taken, the mailbox is full: %s", event.id)
                self._tell(event, translated(exc.reply, event.locale))
            if event.kind == "stop":
                self._group.create_task(self._noticed(event), name="noticed")

    async def _noticed(self, event: Event) -> None:
        """A button that stops is answered here: nobody delivers anything for it."""
        if (query := Address.of(event.room).query) is not None:
            await answer_query(self._client, query)

    def _tell(self, event: Event, sentence: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told.get(event.conversation, -_TELL_EVERY) < _TELL_EVERY or self._telling >= _TELL_AT_ONCE:
            return
        self._told[event.conversation] = now
        self._told.move_to_end(event.conversation)
        if len(self._told) > 1000:
            self._told.popitem(last=False)
        self._group.create_task(self._say(event, sentence), name="overloaded")

    async def _say(self, event: Event, sentence: str) -> None:
        address = Address.of(event.room)
        self._telling += 1
        try:
            await self._client.send_message(
                self._homes.now(address.chat), sentence, message_thread_id=address.topic
            )
        except TelegramError as exc:
            log.warning("could not say that the mailbox is full: %s: %s", event.id, type(exc).__name__)
        finally:
            self._telling -= 1
