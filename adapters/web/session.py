"""One open page, from its connection to its end: what it sends, what is drawn on it, and the list beside it.

Knows neither worker nor `deliver`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from adapters.web import frames
from adapters.web.drawing import Drawing
from adapters.web.events import Chat
from adapters.web.intake import Intake
from adapters.web.library import Library
from adapters.web.owner import locale_of
from adapters.web.settings import WebSettings
from adapters.web.shelf import Shelf
from adapters.web.uploads import Uploads
from core.errors import CoreError
from core.languages import translated
from core.turns import Inbox

log = logging.getLogger(__name__)

SERVICE_RESTART, TRY_AGAIN_LATER, LOCKED = 1012, 1013, 4401

_LAST_WORDS_SECONDS = 0.5


class Session:
    """A page on an accepted socket, which shows `chat`. `admitted` returns when its owner may look no more."""

    def __init__(
        self,
        socket: WebSocket,
        chat: Chat,
        inbox: Inbox,
        library: Library,
        uploads: Uploads | None,
        settings: WebSettings,
        admitted: Callable[[], Awaitable[None]],
    ) -> None:
        self._socket = socket
        self._locale = locale_of(socket)
        self._admitted = admitted
        self._closed = asyncio.Event()
        self._shelf = Shelf(library, chat, self._send)
        self._drawing = Drawing(inbox, library, chat, self._send, self._shelf.changed, settings, self._locale)
        self._intake = Intake(
            inbox, library, uploads, chat, self._drawing, self._shelf, self._send, settings, self._locale
        )

    def close(self) -> None:
        """We stop listening: the page is told to come back, after the end of a reply that is on its way to it."""
        self._closed.set()

    async def run(self) -> None:
        """Serve until one side leaves."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(), name="read")
                group.create_task(self._show(self._drawing.run), name="draw")
                group.create_task(self._show(self._shelf.run), name="list")
                group.create_task(self._expel(), name="admitted")
                group.create_task(self._end(), name="end")
        except* _Over as ends:
            over = ends.exceptions[0]
            assert isinstance(over, _Over)
            await self._leave(over)

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise _Over(None)
            await self._intake.take(message.get("text") or message.get("bytes") or b"")

    async def _show(self, run: Callable[[], Awaitable[None]]) -> None:
        """Until nothing more comes: the page is told to try again."""
        try:
            await run()
        except CoreError as exc:
            raise _Over(TRY_AGAIN_LATER, translated(exc.reply, self._locale)) from None
        raise _Over(TRY_AGAIN_LATER)

    async def _expel(self) -> None:
        await self._admitted()
        raise _Over(LOCKED)

    async def _end(self) -> None:
        await self._closed.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._drawing.settled.wait()
        raise _Over(SERVICE_RESTART)

    async def _leave(self, over: "_Over") -> None:
        if over.code is None:
            return
        try:
            if over.text:
                await self._send(frames.Trouble(over.text))
            await self._socket.close(over.code)
        except (_Over, WebSocketDisconnect):
            log.debug("a page left first")

    async def _send(self, frame: frames.ToBrowser) -> None:
        try:
            await self._socket.send_text(frames.encode(frame))
        except WebSocketDisconnect:
            raise _Over(None) from None


class _Over(Exception):
    """The session ends. `code` closes the socket; `None`: the browser has left already."""

    def __init__(self, code: int | None, text: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.text = text
