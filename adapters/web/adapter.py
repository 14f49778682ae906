"""The page: the conversations of whoever looks at it, each over a WebSocket.

Its room is what the store has recorded: `deliver` records and shows nothing, and the open pages draw what they
watch. So pages may hang on one process while another one answers.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, suppress

from starlette.middleware import Middleware
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from adapters.features import Feature
from adapters.recording import record
from adapters.web.events import PLATFORM, Chat
from adapters.web.frames import CLIENT_ID, Locked, Trouble, encode
from adapters.web.guard import Guard
from adapters.web.library import Keys, Library
from adapters.web.owner import Owner, locale_of, owner_of
from adapters.web.pages import pages
from adapters.web.requests import FILES, KEY_NEEDED, requests
from adapters.web.session import LOCKED, TRY_AGAIN_LATER, Session
from adapters.web.settings import WebSettings
from adapters.web.uploads import Uploads
from core.errors import AWAY, NotFetched
from core.languages import msgid, translated
from core.turns import Attachment, Event, Inbox, News, Reply

_NOT_READY = msgid("I am not ready for this page yet. It tries again by itself.")

_CHECK_SECONDS = 2.0
_LOOKED_AT = 100  # turns
_ANSWERED = {"message", "edit", "act"}  # what the model writes something to


class WebAdapter:
    """Serves the page by `routes` and listens to those that are open."""

    platform = PLATFORM
    supports = frozenset(
        {
            Feature.GROWING,
            Feature.THINKING,
            Feature.BUTTONS,
            Feature.EDITS,
            Feature.FILES,
            Feature.LINE,
            Feature.MISSED,
            Feature.ONCE,
        }
    )

    def __init__(self, settings: WebSettings, library: Library, keys: Keys) -> None:
        self._settings = settings
        self._library = library
        self._keys = keys
        self._inbox: Inbox | None = None
        self._sessions: set[Session] = set()
        self._uploads = Uploads(settings.uploads, settings.max_file) if settings.uploads else None
        self.bodies: Mapping[str, int] = {FILES: settings.max_file} if self._uploads else {}
        guarded = [Middleware(Guard, names=settings.hosts)]
        self.routes: list[BaseRoute] = [
            *pages(guarded, title=settings.title, model_name=settings.model),
            *requests(self._uploads, keys, guarded),
            WebSocketRoute("/chat", self._chat, middleware=guarded),
        ]

    async def listen(self, inbox: Inbox) -> None:
        self._inbox = inbox
        try:
            await (asyncio.Event().wait() if self._uploads is None else self._uploads.clear())
        finally:
            self._inbox = None
            for session in self._sessions:
                session.close()

    async def deliver(self, event: Event, reply: Reply) -> None:
        async def waits(text: str) -> None:
            await self._library.tell(News(event.conversation, "waiting", event.id, text.strip("_")))

        await record(reply, waits)
        if event.kind in _ANSWERED:
            await self._library.tell(News(event.conversation, "answered"))
        if self._uploads is not None:
            # A picture is looked at again when its answer is made anew.
            await self._uploads.discard([each for each in event.attachments if each.kind != "image"])

    def fetch(self, attachment: Attachment) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        if self._uploads is None:
            raise NotFetched("this process takes no files")
        return self._uploads.read(attachment)

    async def _chat(self, socket: WebSocket) -> None:
        try:
            owner = await owner_of(socket, self._keys)
            chat = None if owner is None else await self._chat_of(owner, socket)
        except AWAY as exc:
            await socket.accept()
            await self._refuse(socket, Trouble(translated(exc.reply, locale_of(socket))), TRY_AGAIN_LATER)
            return
        if owner is None or chat is None:
            await socket.accept()
            await self._refuse(socket, Locked(translated(KEY_NEEDED, locale_of(socket))), LOCKED)
            return
        await socket.accept(headers=[(b"set-cookie", owner.cookie.encode())])
        if self._inbox is None or len(self._sessions) >= self._settings.max_pages:
            await self._refuse(socket, Trouble(translated(_NOT_READY, locale_of(socket))), TRY_AGAIN_LATER)
            return
        session = Session(
            socket, chat, self._inbox, self._library, self._uploads, self._settings, lambda: self._revoked(owner)
        )
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    async def _chat_of(self, owner: Owner, socket: WebSocket) -> Chat:
        """The conversation that the page asks for; by default the one in which the owner spoke last."""
        wanted = socket.query_params.get("c")
        if wanted is not None and (not wanted or re.match(CLIENT_ID, wanted)):
            return Chat(owner.name, wanted)
        first = Chat(owner.name)
        listed = await self._library.all(first.conversation.place)
        if listed:
            return Chat(owner.name, listed[0].conversation.thread)
        await self._list(first)
        return first

    async def _list(self, chat: Chat) -> None:
        """What was said before conversations were listed is found beside those that come."""
        turns = await self._inbox.turns(chat.conversation, _LOOKED_AT) if self._inbox else []
        if words := next((turn.text for turn in turns if turn.role == "user"), ""):
            await self._library.note(chat.conversation, words, turns[-1].at)

    async def _refuse(self, socket: WebSocket, frame: Trouble | Locked, code: int) -> None:
        with suppress(WebSocketDisconnect):  # it left first
            await socket.send_text(encode(frame))
            await socket.close(code)

    async def _revoked(self, owner: Owner) -> None:
        """Return when its key is none any more; never, if it needs none. A store that is away is waited for."""
        valid = True
        while valid:
            await (asyncio.sleep(_CHECK_SECONDS) if owner.key else asyncio.Event().wait())
            with suppress(*AWAY):
                valid = await self._keys.valid(owner.key) is not None
