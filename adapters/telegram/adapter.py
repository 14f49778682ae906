"""Telegram: listens by long polling or by a webhook, delivers by editing. Of the core it knows the seam only."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from starlette.routing import Route
from telegram import User  # noqa: TID251
from telegram.constants import FloodLimit  # noqa: TID251
from telegram.error import BadRequest, InvalidToken, TelegramError  # noqa: TID251

from adapters.delivery import Pace, Planner, Rate, in_file_after
from adapters.features import Feature
from adapters.telegram import webhook
from adapters.telegram.channel import TelegramChannel, translated
from adapters.telegram.client import Client, Connection
from adapters.telegram.events import Address
from adapters.telegram.homes import Homes
from adapters.telegram.intake import Intake
from adapters.telegram.menus import menus
from adapters.telegram.polling import poll
from adapters.telegram.settings import TelegramSettings
from adapters.telegram.waiting import Waits
from adapters.wire import Wire
from core.errors import Refused
from core.turns import Attachment, Event, Fleet, Inbox, Reply

__all__ = ["TelegramAdapter", "TelegramSettings"]

log = logging.getLogger(__name__)

# What may be sent without being told to wait; an edit counts as a message.
_EACH_CHAT = Rate(int(FloodLimit.MESSAGES_PER_SECOND_PER_CHAT), 1.0)
_EACH_GROUP = Rate(int(FloodLimit.MESSAGES_PER_MINUTE_PER_GROUP), 60.0)
_BOT = Rate(int(FloodLimit.MESSAGES_PER_SECOND), 1.0)
PRIVATE_PACE = Pace(room=(_EACH_CHAT,), bot=(_BOT,), draft_interval=1.0)
# Fifteen drafts a minute, so that a final text finds room for itself.
GROUP_PACE = Pace(room=(_EACH_CHAT, _EACH_GROUP), bot=(_BOT,), draft_interval=4.0)

# While the platform is away at the start: so many questions who we are, before we go on without the answer.
_TRIES_AT_START = 4


class TelegramAdapter:
    """One bot account, `bot`. Enter it before `listen` and `deliver`.

    Entering raises `Refused` for a token that Telegram does not know. `routes` is empty when polling.
    `private_pace` is how often the bot may speak in private chats and altogether.
    """

    platform = "telegram"
    supports = frozenset(Feature) - {Feature.DELETIONS, Feature.EARLIER, Feature.ABOUT, Feature.ONCE}

    def __init__(
        self,
        settings: TelegramSettings,
        fleet: Fleet,
        *,
        waits: Waits | None = None,
        private_pace: Pace = PRIVATE_PACE,
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._private_pace = private_pace
        self._waits = waits or Waits()
        self.wire = Wire()
        self._connection = Connection()
        self._client = Client(settings.token, settings.server, self._connection)
        self._homes = Homes()
        self._me: User | None = None
        self._intake: Intake | None = None
        self._planner: Planner | None = None
        self.name = settings.adapter
        self.bot = settings.bot
        self.routes: list[Route] = []
        if settings.mode == "webhook":
            self.routes.append(webhook.route(settings, lambda: self._intake))

    async def __aenter__(self) -> Self:
        await self._connection.initialize()
        try:
            await self._ask_who_we_are()
        except BaseException:
            await self._connection.shutdown()
            raise
        self._planner = Planner(
            f"telegram/{self.bot}",
            self._private_pace,
            self._fleet,
            in_doubt=self._settings.in_doubt,
            wire=self.wire,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._connection.shutdown()

    async def listen(self, inbox: Inbox) -> None:
        me = await self._prepared()
        self.wire.connected = True
        try:
            async with asyncio.TaskGroup() as group:
                self._intake = Intake(inbox, self._client, self._homes, me, group, self._settings.debounce)
                if self._settings.mode == "webhook":
                    await webhook.watch(self._client, self.wire)
                else:
                    await poll(self._client, self._intake, self._waits, self.wire)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        finally:
            self._intake = None
            self.wire.connected = False

    async def deliver(self, event: Event, reply: Reply) -> None:
        assert self._planner is not None, "deliver needs an entered adapter"
        address = Address.of(event.room)
        channel = TelegramChannel(
            self._client,
            self._homes,
            chat=address.chat,
            topic=address.topic,
            # A reply that goes on after a takeover has quoted the message already.
            reply_to=None if reply.parts else address.reply_to,
            query=address.query,
            draft=1 + int(reply.key(0)[:6], 16),
        )
        private = channel.chat > 0
        await self._planner.show(
            reply,
            channel,
            room=str(channel.chat),
            pace=self._private_pace if private else GROUP_PACE,
            preview=channel.preview if private and self._settings.drafts else None,
            in_file=in_file_after(self._settings.file_after, event.locale),
        )
        await channel.finish()

    @asynccontextmanager
    async def fetch(self, attachment: Attachment) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._client.download(str(attachment.address.get("file", ""))) as chunks:
            yield chunks

    async def _ask_who_we_are(self) -> None:
        """Delivering needs no more than the id: an answer may come later."""
        for _ in range(_TRIES_AT_START):
            try:
                self._me = await self._client.get_me()
            except InvalidToken as exc:
                raise translated(exc) from None
            except TelegramError as exc:
                log.warning("Telegram does not answer yet: %s", exc.message)
                await self._waits.next()
            else:
                self._waits.reset()
                return

    async def _prepared(self) -> User:
        """Make Telegram give us updates in the way of `mode`; until it has done so."""
        while True:
            try:
                me = self._me = self._me or await self._client.get_me()
                await self._name_commands()  # first: what is pushed must be taken soon
                if self._settings.mode == "webhook":
                    await webhook.push(self._client, self._settings)
                else:
                    await self._end_pushing()
            except InvalidToken as exc:
                raise translated(exc) from None
            except BadRequest as exc:
                raise Refused(
                    "telegram", exc.message, fix="Check telegram.webhook_url and webhook_secret."
                ) from exc
            except TelegramError as exc:
                log.warning("Telegram does not answer yet: %s", exc.message)
                await self._waits.next()
            else:
                self._waits.reset()
                return me

    async def _end_pushing(self) -> None:
        """While a webhook is set, nothing can be polled. What waits is kept."""
        try:
            await self._client.delete_webhook()
        except InvalidToken:
            # A Bot API server of one's own may not have the method. If it is the token, polling says so.
            log.debug("no webhook was removed")

    async def _name_commands(self) -> None:
        try:
            for scope, language, named in menus():
                if await self._client.get_my_commands(scope, language) != named:
                    await self._client.set_my_commands(named, scope, language)
        except TelegramError as exc:
            # They only help with typing; each works without.
            log.warning("the list of commands was not set: %s", exc.message)
