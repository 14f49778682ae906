"""One open page: what it sends becomes events, and it is shown what its conversation's replies are.

Knows neither worker nor `deliver`: all that it draws comes through the inbox, from whatever process writes it.
A slow browser is sent fewer drafts: the next one is looked at only when the last one has left.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from adapters.web import frames
from adapters.web.browser import locale_of
from adapters.web.events import conversation_of, key_of_event, to_event
from adapters.web.markup import blocks
from core.errors import CoreError, Overloaded, StoreUnavailable
from core.languages import msgid, translated
from core.turns import Cut, Inbox, Shown, Turn

log = logging.getLogger(__name__)

SERVICE_RESTART, TRY_AGAIN_LATER = 1012, 1013

_TURNS = 100
_HELD_EVENTS = 1000
_LAST_WORDS_SECONDS = 0.5
_REST = 4

_CUT: dict[Cut, str] = {
    "stopped": msgid("_Stopped._"),
    "shutdown": msgid("_Cut short by a restart._"),
    "length": msgid("_(This answer reached its length limit.)_"),
    "time": msgid("_(This answer took too long and ends here.)_"),
    "failed": msgid("_(This answer was broken off.)_"),
}

_UNREADABLE = msgid("This page sent something that cannot be read. Please reload it.")
_TOO_LONG = msgid(
    "This message has {length:,} characters, and I can take {limit:,} at once. "
    "It is still in the box: please shorten it or send it in pieces."
)


class Session:
    """The page of one browser, from its connection to its end. `max_message` is in characters."""

    def __init__(self, socket: WebSocket, inbox: Inbox, chat: str, *, max_message: int) -> None:
        self._socket = socket
        self._inbox = inbox
        self._chat = chat
        self._locale = locale_of(socket)
        self._max_message = max_message
        self._known: dict[str, None] = {}
        self._under_way = ""
        self._drawn: tuple[str, Sequence[str]] = ("", ())
        self._closed = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()

    def close(self) -> None:
        """We stop listening: the page is told to come back, after the end of a reply that is on its way to it."""
        self._closed.set()

    async def run(self) -> None:
        """Serve the accepted socket until one side leaves."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(), name="read")
                group.create_task(self._draw(), name="draw")
                group.create_task(self._end(), name="end")
        except* _Over as ends:
            over = ends.exceptions[0]
            assert isinstance(over, _Over)
            await self._leave(over)

    async def _leave(self, over: "_Over") -> None:
        if over.code is None:
            return
        try:
            if over.text:
                await self._send(frames.Trouble(over.text))
            await self._socket.close(over.code)
        except _Over:
            log.debug("the page of %s left first", self._chat)

    async def _end(self) -> None:
        await self._closed.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._settled.wait()
        raise _Over(SERVICE_RESTART)

    async def _send(self, frame: frames.ToBrowser) -> None:
        try:
            await self._socket.send_text(frames.encode(frame))
        except WebSocketDisconnect:
            raise _Over(None) from None

    # From the browser.

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise _Over(None)
            data = message.get("text") or message.get("bytes") or b""
            try:
                frame = frames.decode(data)
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.info("the page of %s sent what is no frame of ours", self._chat)
                await self._send(frames.Trouble(translated(_UNREADABLE, self._locale)))
            else:
                await self._take(frame)

    async def _take(self, frame: frames.Say | frames.Stop) -> None:
        if isinstance(frame, frames.Say) and len(frame.text) > self._max_message:
            await self._refuse(
                frame, translated(_TOO_LONG, self._locale).format(length=len(frame.text), limit=self._max_message)
            )
            return
        event = to_event(frame, self._chat, at=time.time(), locale=self._locale)
        key = key_of_event(event.id, self._chat)
        self._remember(key)
        try:
            await self._inbox.accept(event)
        except (StoreUnavailable, Overloaded) as exc:
            await self._refuse(frame, translated(exc.reply, self._locale))
        else:
            await self._send(frames.Taken(frame.id, key))

    async def _refuse(self, frame: frames.Say | frames.Stop, text: str) -> None:
        await self._send(frames.Refused(frame.id, text))

    # To the browser.

    async def _draw(self) -> None:
        conversation = conversation_of(self._chat)
        try:
            async with self._inbox.watch(conversation) as changes:
                await self._send_history()
                async for shown in changes:
                    await self._show(shown)
        except CoreError as exc:
            raise _Over(TRY_AGAIN_LATER, translated(exc.reply, self._locale)) from None
        raise _Over(TRY_AGAIN_LATER)

    async def _show(self, shown: Shown) -> None:
        key = key_of_event(shown.event, self._chat)
        if key not in self._known or self._under_way not in {"", key}:
            # Another page of this browser has spoken, or the end of the reply before was skipped.
            await self._send_history()
            self._remember(key)
        began = time.perf_counter()
        new = blocks(shown.text, final=shown.final)
        spent = time.perf_counter() - began
        keep = _same(self._drawn[1], new) if self._drawn[0] == key else 0
        self._drawn = (key, new)
        self._settled.clear()
        await self._send(frames.Drawn(key, keep, list(new[keep:]), shown.final))
        self._under_way = "" if shown.final else key
        if shown.final:
            self._settled.set()
        else:
            await asyncio.sleep(spent * _REST)  # a long answer is drawn less often, and others get their turn

    async def _send_history(self) -> None:
        lines = []
        for turn in await self._inbox.turns(conversation_of(self._chat), _TURNS):
            lines.append(self._line(turn))
            await asyncio.sleep(0)  # others' turn: a hundred answers take a while to be made HTML
        for line in lines:
            self._remember(line.key)
        self._drawn = ("", ())
        await self._send(frames.History(lines, self._max_message))

    def _line(self, turn: Turn) -> frames.Line:
        key = key_of_event(turn.event, self._chat)
        if turn.role == "user":
            return frames.Line(key, "user", text=_as_typed(key, turn.text), waiting=turn.number == 0)
        safe = [
            *blocks(turn.text, final=True),
            *blocks(translated(_CUT.get(turn.cut, ""), self._locale), final=True),
        ]
        return frames.Line(key, "assistant", blocks=safe)

    def _remember(self, key: str) -> None:
        self._known[key] = None
        if len(self._known) > _HELD_EVENTS:
            del self._known[next(iter(self._known))]


class _Over(Exception):
    """The session ends. `code` closes the socket; `None`: the browser has left already."""

    def __init__(self, code: int | None, text: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.text = text


def _same(old: Sequence[str], new: Sequence[str]) -> int:
    """How many blocks at the beginning are the same."""
    return next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))


def _as_typed(key: str, text: str) -> str:
    _, _, kind = key.partition("/")
    return f"/{kind} {text}".rstrip() if kind else text
