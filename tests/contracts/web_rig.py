"""The page in the contract suite: each person has a browser with one tab."""

import asyncio
import tempfile
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from adapters.web.adapter import WebAdapter
from adapters.web.settings import WebSettings
from bots.http.server import serve
from core.controls import while_writing
from core.store.api_keys import ApiKeys
from core.store.store import Store
from tests.adapters.web.tab import Tab
from tests.contracts.rig import Replies


class WebRig:
    """The page's server with tabs on it; whoever runs `adapter` makes them talk."""

    def __init__(self, store: Store) -> None:
        self._folder = tempfile.TemporaryDirectory()
        settings = WebSettings(uploads=Path(self._folder.name), max_file=1_000_000)
        self.adapter = WebAdapter(settings, store.library, ApiKeys(store.client))
        self._tabs: dict[str, Tab] = {}
        self._said: dict[str, tuple[str, str]] = {}
        self._stack = AsyncExitStack()
        self._url = ""

    async def __aenter__(self) -> Self:
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._stack.enter_context(self._folder)
        serving = serve(self.adapter.routes, "127.0.0.1", 0, ready=url.set_result, bodies=self.adapter.bodies)
        task = self._group.create_task(serving)
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

    async def attached(self, text: str, name: str, data: bytes, kind: str, *, person: str = "ann") -> str:
        tab, file, message = self._tab(person), uuid.uuid4().hex, uuid.uuid4().hex
        await tab.until(lambda: tab.limit > 0)  # who uploads has a cookie
        async with httpx.AsyncClient() as client:
            headers = {"Cookie": tab.cookie, "Origin": self._url}
            put = await client.put(f"{self._url}/files/{file}", content=data, headers=headers)
        assert put.status_code == 204
        answer = await tab.say(text, message, [{"id": file, "name": name, "type": kind}])
        assert answer["type"] == "taken"
        return message

    def controls(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        tab = self._tab(person or "ann")
        return [button["label"] for button in self._buttons(tab)]

    async def press(self, label: str, *, person: str = "ann", room: str | None = None) -> None:
        tab = self._tab(person)
        await tab.until(lambda: label in self.controls(person=person))
        action = next(button["action"] for button in self._buttons(tab) if button["label"] == label)
        await tab.act(list(tab.replies)[-1], action)

    async def forge(self, what: str, *, person: str = "ann") -> None:
        tab = self._tab(person)
        await tab.send({"type": "act", "id": uuid.uuid4().hex, "on": list(tab.replies)[-1], "action": what})

    async def until_told(self, sentence: str, *, person: str = "ann") -> None:
        tab = self._tab(person)
        await tab.until(lambda: sentence in tab.told)

    async def edit(self, message_id: str, text: str) -> None:
        person, _ = self._said[message_id]
        await self._tab(person).edit(message_id, text)

    async def replies(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        return self._tab(person or "ann").texts()

    async def until_replies(
        self, predicate: Replies, *, person: str | None = None, room: str | None = None
    ) -> list[str]:
        tab = self._tab(person or "ann")
        await tab.until(lambda: predicate(tab.texts()))
        return tab.texts()

    def _buttons(self, tab: Tab) -> list[dict[str, Any]]:
        """What is under the last answer. While it is written, the page's own button is in the box."""
        key = list(tab.replies)[-1]
        if key in tab.final:
            buttons: list[dict[str, Any]] = tab.feet[key]["buttons"]
            return buttons
        return [{"label": control.label, "action": control.action} for control in while_writing()]

    def _tab(self, person: str) -> Tab:
        if person not in self._tabs:
            tab = self._tabs[person] = Tab(self._url)
            task = self._group.create_task(tab.run(), name=person)
            self._stack.callback(task.cancel)
        return self._tabs[person]
