"""The page in the contract suite: each person has a browser with one tab."""

import asyncio
import uuid
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from adapters.web.adapter import WebAdapter, WebSettings
from bots.http.server import serve
from core.store.store import Store
from tests.adapters.web.tab import Tab
from tests.contracts.rig import Replies


class WebRig:
    """The page's server with tabs on it; whoever runs `adapter` makes them talk."""

    def __init__(self, store: Store) -> None:
        self.adapter = WebAdapter(WebSettings(), store.fleet)
        self._tabs: dict[str, Tab] = {}
        self._said: dict[str, tuple[str, str]] = {}
        self._stack = AsyncExitStack()
        self._url = ""

    async def __aenter__(self) -> Self:
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        task = self._group.create_task(serve(self.adapter.routes, "127.0.0.1", 0, ready=url.set_result))
        self._stack.callback(task.cancel)
        self._url = await url
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        await self._stack.__aexit__(kind, exc, trace)

    async def direct(self, text: str, *, person: str = "ann") -> str:
        message = uuid.uuid4().hex
        self._said[message] = (person, text)
        await self.redeliver(message)
        return message

    async def redeliver(self, message_id: str) -> None:
        """The tab was not told that its message was taken, and sends it again under the same id."""
        person, text = self._said[message_id]
        answer = await self._tab(person).say(text, message_id)
        assert answer["type"] == "taken"

    async def replies(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        return self._tab(person or "ann").texts()

    async def until_replies(
        self, predicate: Replies, *, person: str | None = None, room: str | None = None
    ) -> list[str]:
        tab = self._tab(person or "ann")
        await tab.until(lambda: predicate(tab.texts()))
        return tab.texts()

    def _tab(self, person: str) -> Tab:
        if person not in self._tabs:
            tab = self._tabs[person] = Tab(self._url)
            task = self._group.create_task(tab.run(), name=person)
            self._stack.callback(task.cancel)
        return self._tabs[person]
