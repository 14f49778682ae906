"""What a page sends: made an event, or a change to the list of its owner's conversations, and answered."""

import logging
import time
from collections.abc import Sequence

import msgspec

from adapters.recording import typed
from adapters.web import frames
from adapters.web.drawing import Drawing, Send
from adapters.web.events import Chat, key_of_event, to_event
from adapters.web.library import Library
from adapters.web.settings import WebSettings
from adapters.web.shelf import Shelf
from adapters.web.uploads import Uploads
from adapters.web.words import WORDS
from core.errors import AWAY, CoreError
from core.languages import msgid, translated
from core.turns import ACTIONS, Attachment, Event, Inbox

log = logging.getLogger(__name__)

_UNREADABLE = msgid("This page sent something that cannot be read. Please reload it.")
_TOO_MANY = msgid("You have as many conversations as I can keep for you. Please delete one first.")
_NO_FILE = msgid("I do not have a file that you sent any more. Please add it again.")

_FOR_AN_ANSWER = frames.Say | frames.Edit | frames.Stop | frames.Act


class Intake:
    """One page's."""

    def __init__(
        self,
        inbox: Inbox,
        library: Library,
        uploads: Uploads | None,
        chat: Chat,
        drawing: Drawing,
        shelf: Shelf,
        send: Send,
        settings: WebSettings,
        locale: str,
    ) -> None:
        self._inbox = inbox
        self._library = library
        self._uploads = uploads
        self._chat = chat
        self._drawing = drawing
        self._shelf = shelf
        self._send = send
        self._max_message = settings.max_message
        self._locale = locale

    async def take(self, data: str | bytes) -> None:
        """One frame of the page's."""
        try:
            frame = frames.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.info("the page of %s sent what is no frame of ours", self._chat.owner)
            await self._send(frames.Trouble(translated(_UNREADABLE, self._locale)))
            return
        if isinstance(frame, _FOR_AN_ANSWER):
            await self._accept(frame)
        elif isinstance(frame, frames.Find):
            self._shelf.find(frame.text)
        elif isinstance(frame, frames.Ping):
            await self._send(frames.Pong())
        else:
            await self._change(frame)

    async def _accept(self, frame: _FOR_AN_ANSWER) -> None:
        if isinstance(frame, frames.Say | frames.Edit) and len(frame.text) > self._max_message:
            too_long = translated(WORDS["too_long"], self._locale)
            await self._refuse(
                frame, too_long.format(length=f"{len(frame.text):,}", limit=f"{self._max_message:,}")
            )
            return
        try:
            frame = await self._meant(frame)
            attachments = await self._attachments(frame)
            if attachments is None:
                await self._refuse(frame, translated(_NO_FILE, self._locale))
                return
            event = to_event(frame, self._chat, at=time.time(), locale=self._locale, attachments=attachments)
            key = key_of_event(event.id, self._chat)
            self._drawing.remember(key)
            if not await self._list(event):
                await self._refuse(frame, translated(_TOO_MANY, self._locale))
                return
            await self._inbox.accept(event)
        except AWAY as exc:
            await self._refuse(frame, translated(exc.reply, self._locale))
        else:
            await self._send(frames.Taken(frame.id, key))

    async def _meant(self, frame: _FOR_AN_ANSWER) -> _FOR_AN_ANSWER:
        """What is typed to be done with an answer is the same as to press it under the last one."""
        if (
            isinstance(frame, frames.Say)
            and typed(frame.text)[0] == "act"
            and (on := await self._drawing.newest())
        ):
            return frames.Act(frame.id, on, ACTIONS[typed(frame.text)[1]], frame.sampling)
        return frame

    async def _list(self, event: Event) -> bool:
        """Keep the list of conversations in step, first: what was said must be found again. False: it is full."""
        if event.kind == "message":
            words = event.text.strip() or " ".join(each.name for each in event.attachments)
            listed = await self._library.note(event.conversation, words, event.at)
        elif event.kind == "reset":
            await self._library.drop(event.conversation)
            listed = True
        else:
            return True
        return listed

    async def _attachments(self, frame: _FOR_AN_ANSWER) -> Sequence[Attachment] | None:
        """What comes with a message; `None` where something of it is not there."""
        if not isinstance(frame, frames.Say) or not frame.files:
            return ()
        if self._uploads is None:
            return None
        found = [await self._uploads.attachment(self._chat.owner, file) for file in frame.files]
        present = [each for each in found if each is not None]
        return present if len(present) == len(found) else None

    async def _change(self, frame: frames.Rename | frames.Forget) -> None:
        conversation = Chat(self._chat.owner, frame.chat).conversation
        try:
            if isinstance(frame, frames.Rename):
                await self._library.rename(conversation, frame.title)
            else:
                await self._library.forget(conversation)
        except CoreError as exc:
            await self._send(frames.Told(translated(exc.reply, self._locale)))
            self._shelf.changed()  # back to how it is

    async def _refuse(self, frame: _FOR_AN_ANSWER, text: str) -> None:
        await self._send(frames.Refused(frame.id, text))
