"""One chat, or one topic of it, as the delivery planner sees it: Telegram's errors end here.

Knows nothing of replies and their parts. A message's id is "chat/number": when a group has become a supergroup,
what stands in the old chat cannot be edited any more, and is sent anew in the new one.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from telegram import (  # noqa: TID251
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    LinkPreviewOptions,
    Message,
    ReplyParameters,
)
from telegram.constants import ChatAction, MessageLimit  # noqa: TID251
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, TelegramError  # noqa: TID251

from adapters.delivery import File, Limited, MessageGone, Unattached, Unavailable, beside
from adapters.telegram.client import Client, FloodControl, Unreached
from adapters.telegram.events import message_id
from adapters.telegram.homes import Homes
from adapters.telegram.markup import LIMIT, render, size
from adapters.telegram.queries import answer_query
from adapters.telegram.settings import BOTFATHER
from adapters.telegram.writer import Rendered
from core.errors import Refused
from core.turns import Control

log = logging.getLogger(__name__)

# Telegram shows "is typing" for five seconds: https://core.telegram.org/bots/api#sendchataction
_TYPING = 4.5
_NOTHING = "-"
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

# Telegram's errors have no codes, only words. These are looked for in the lower-cased description.
_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")
_UNCHANGED = "message is not modified"
_NO_TEXT = "there is no text in the message to edit"
_CAPTION = int(MessageLimit.CAPTION_LENGTH)
_ENTITIES = "entit"


class TelegramChannel:
    """The chat `chat`, and in it the topic `topic`, for one reply.

    `reply_to` is the number of the message that the first send quotes, if it is still there. `query` is that of
    the button which was pressed. `draft` is a number for what is shown ahead of the first send.
    """

    limit = LIMIT
    streams = False

    def __init__(
        self,
        client: Client,
        homes: Homes,
        *,
        chat: int,
        topic: int | None,
        reply_to: int | None = None,
        query: str | None = None,
        draft: int = 1,
    ) -> None:
        self._client = client
        self._homes = homes
        self._asked_in = chat
        self._topic = topic
        self._reply_to = reply_to
        self._query = query
        self._draft = draft
        self._moved: dict[str, str] = {}  # the id of a message in the old chat → of the one sent in its place

    @property
    def chat(self) -> int:
        return self._homes.now(self._asked_in)

    def size(self, source: str) -> int:
        return size(source)

    async def send(
        self,
        source: str,
        *,
        key: str,  # noqa: ARG002 - Telegram has no idempotency keys
        controls: Sequence[Control] = (),
        grows: bool = False,  # noqa: ARG002
    ) -> str:
        rendered, keyboard = render(source), _keyboard(controls)
        try:
            message = await self._send(rendered, keyboard)
        except ChatMigrated as exc:
            self._move(exc.new_chat_id)
            message = await self._send_there(rendered, keyboard)
        except TelegramError as exc:
            raise translated(exc) from exc
        self._reply_to = None
        self._draft += 1
        return message_id(message.chat.id, message.message_id)

    async def preview(self, source: str) -> bool:
        """Show what the next message will read, for half a minute; only private chats have that."""
        rendered = render(source)
        try:
            try:
                await self._show_draft(rendered)
            except BadRequest as exc:
                if not _refuses_entities(exc, rendered):
                    raise
                await self._show_draft(Rendered(rendered.text, ()))
        except TelegramError as exc:
            meant = translated(exc)
            if not isinstance(meant, MessageGone | Refused):
                raise meant from exc
            log.info("no drafts in a chat: %s", exc.message)
            return False
        return True

    async def edit(
        self,
        message: str,
        source: str,
        *,
        controls: Sequence[Control] = (),
        grows: bool = False,  # noqa: ARG002
        file: File | None = None,
    ) -> None:
        await self._answer_query()
        rendered, keyboard = render(source), _keyboard(controls)
        standing = self._moved.get(message, message)
        chat, _, number = standing.partition("/")
        if self._homes.now(int(chat)) == int(chat):
            try:
                if await self._changed(int(chat), int(number), rendered, keyboard, file):
                    return
            except ChatMigrated as exc:
                self._homes.met(int(chat), exc.new_chat_id)
            except TelegramError as exc:
                if _UNCHANGED in exc.message.lower():
                    return
                meant = translated(exc)
                if file is not None and isinstance(meant, Refused):
                    log.info("a file is not taken: %s", exc.message)
                    raise Unattached from exc
                raise meant from exc
        if file is not None:
            raise Unattached  # what was its message stands in another chat
        sent = await self._send_there(rendered, keyboard)
        self._moved[message] = message_id(sent.chat.id, sent.message_id)

    async def find(self, key: str, source: str) -> str | None:  # noqa: ARG002
        """Telegram lets no bot read back what stands in a chat."""
        return None

    async def tell(self, source: str) -> None:
        await self._answer_query(source)

    async def finish(self) -> None:
        """Nothing more is to come."""
        await self._answer_query()

    async def _answer_query(self, text: str = "") -> None:
        if self._query is not None:
            query, self._query = self._query, None
            await answer_query(self._client, query, text)

    def typing(self) -> AbstractAsyncContextManager[None]:
        return beside(self._type_for_ever())

    async def _type_for_ever(self) -> None:
        while True:
            wait = _TYPING
            try:
                await self._client.send_chat_action(self.chat, ChatAction.TYPING, message_thread_id=self._topic)
            except FloodControl as exc:
                wait = max(wait, exc.after)
            except TelegramError as exc:
                log.debug("typing is not shown: %s", type(exc).__name__)
            await asyncio.sleep(wait)

    async def _send_there(self, rendered: Rendered, keyboard: InlineKeyboardMarkup | None) -> Message:
        """Send into the chat that the group has become."""
        self._reply_to = None  # its number means another message there
        try:
            return await self._send(rendered, keyboard)
        except TelegramError as exc:
            raise translated(exc) from exc

    async def _send(self, rendered: Rendered, keyboard: InlineKeyboardMarkup | None) -> Message:
        quoted = None
        if self._reply_to is not None:
            quoted = ReplyParameters(self._reply_to, allow_sending_without_reply=True)
        try:
            return await self._client.send_message(
                self.chat,
                rendered.text,
                entities=rendered.entities,
                message_thread_id=self._topic,
                reply_parameters=quoted,
                link_preview_options=_NO_PREVIEW,
                reply_markup=keyboard,
            )
        except BadRequest as exc:
            if not _refuses_entities(exc, rendered):
                raise
        return await self._send(Rendered(rendered.text, ()), keyboard)

    async def _show_draft(self, rendered: Rendered) -> None:
        await self._client.send_message_draft(
            self.chat, self._draft, rendered.text, message_thread_id=self._topic, entities=rendered.entities
        )

    async def _changed(
        self,
        chat: int,
        number: int,
        rendered: Rendered,
        keyboard: InlineKeyboardMarkup | None,
        file: File | None,
    ) -> bool:
        """Whether the message could become this. One that has become a file has no text any more."""
        if file is not None:
            document = InputMediaDocument(
                file.text.encode(),
                filename=file.name,
                caption=rendered.text,
                caption_entities=rendered.entities,
            )
            await self._client.edit_message_media(document, chat, number, reply_markup=keyboard)
            return True
        try:
            await self._edit(chat, number, rendered, keyboard)
        except BadRequest as exc:
            if _NO_TEXT not in exc.message.lower():
                raise
        else:
            return True
        if len(rendered.text.encode("utf-16-le")) // 2 > _CAPTION:
            return False
        await self._client.edit_message_caption(
            chat,
            number,
            caption=rendered.text,
            caption_entities=rendered.entities,
            reply_markup=keyboard,
        )
        return True

    async def _edit(
        self, chat: int, number: int, rendered: Rendered, keyboard: InlineKeyboardMarkup | None
    ) -> None:
        try:
            await self._client.edit_message_text(
                rendered.text,
                chat,
                number,
                entities=rendered.entities,
                link_preview_options=_NO_PREVIEW,
                reply_markup=keyboard,
            )
        except BadRequest as exc:
            if not _refuses_entities(exc, rendered):
                raise
            await self._edit(chat, number, Rendered(rendered.text, ()), keyboard)

    def _move(self, new: int) -> None:
        self._homes.met(self.chat, new)


def _keyboard(controls: Sequence[Control]) -> InlineKeyboardMarkup | None:
    """One row, whose buttons say what they do. Telegram has none that does nothing."""
    row = [InlineKeyboardButton(each.label, callback_data=each.action or _NOTHING) for each in controls]
    return InlineKeyboardMarkup([row]) if row else None


def _refuses_entities(exc: BadRequest, rendered: Rendered) -> bool:
    """Telegram did not take the form; the words must not be lost with it."""
    if not rendered.entities or _ENTITIES not in exc.message.lower():
        return False
    log.warning("Telegram refused the formatting of a message; it is sent plain: %s", exc.message)
    return True


def translated(exc: TelegramError) -> Exception:
    """What an error of the library means to the planner."""
    if isinstance(exc, FloodControl):
        # Telegram does not say whether the chat or the bot is meant; nearly always it is the chat.
        return Limited(exc.after, everywhere=False)
    if isinstance(exc, InvalidToken):
        return Refused("telegram", "the token is not accepted", fix=f"{BOTFATHER}, then API Token.")
    if isinstance(exc, Forbidden):
        return Refused("telegram", exc.message, fix="The bot must be a member of the chat, and not blocked in it.")
    if isinstance(exc, BadRequest):
        if any(words in exc.message.lower() for words in _GONE):
            return MessageGone()
        return Refused("telegram", exc.message, fix="In the group's settings the bot needs the right to write.")
    return Unavailable(in_doubt=not isinstance(exc, Unreached))
