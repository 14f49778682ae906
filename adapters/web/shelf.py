"""The list of an owner's conversations beside a page: searched, and sent when something in it changes, on this
page or on another one of the owner's.

One look at a time: who types on sees the last words' result, and not each one's.
"""

import asyncio
import logging
from collections import deque

from adapters.web import frames
from adapters.web.drawing import Send
from adapters.web.events import Chat, exchange_of, key_of_event
from adapters.web.library import Library
from core.errors import AWAY
from core.turns import News

log = logging.getLogger(__name__)

_HELD_NEWS = 64  # for a page that reads slowly; older ones are lost, and the list is sent anyway


class Shelf:
    """One page's, which shows `chat`."""

    def __init__(self, library: Library, chat: Chat, send: Send) -> None:
        self._library = library
        self._chat = chat
        self._place = chat.conversation.place
        self._send = send
        self._words = ""
        self._wanted = True
        self._news: deque[News] = deque(maxlen=_HELD_NEWS)
        self._any = asyncio.Event()
        self._any.set()

    async def run(self) -> None:
        """Send the list now, and what is new in it from then on, until cancelled. Raises `StoreUnavailable`."""
        async with self._library.watch(self._place, self._hear):
            while True:
                await self._any.wait()
                self._any.clear()
                while self._news:
                    await self._tell(self._news.popleft())
                if self._wanted:
                    self._wanted = False
                    await self._show(self._words)

    def find(self, words: str) -> None:
        """The page wants the conversations with these words."""
        self._words = words
        self.changed()

    def changed(self) -> None:
        """The list may be another one."""
        self._wanted = True
        self._any.set()

    def _hear(self, news: News | None) -> None:
        if news is not None and news.what != "listed":
            self._news.append(news)
        if news is None or news.what in {"listed", "gone"}:
            self._wanted = True
        self._any.set()

    async def _tell(self, news: News) -> None:
        match news.what:
            case "answered" | "gone":
                await self._send(frames.Tidings(news.conversation.thread, news.what))
            case "waiting" if news.conversation == self._chat.conversation:
                key = exchange_of(key_of_event(news.event, self._chat))
                await self._send(frames.Tidings(self._chat.id, "waiting", key, news.text))

    async def _show(self, words: str) -> None:
        try:
            found = await self._library.find(self._place, words)
        except AWAY as exc:
            log.warning("the conversations of a page cannot be listed: %s", exc)
            return
        items = [frames.Listing(each.conversation.thread, each.title, each.at, each.excerpt) for each in found]
        await self._send(frames.Chats(words, items))
