"""A browser's tab without a window: speaks the page's protocol over a real WebSocket, and keeps what it shows."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

WAIT_SECONDS = 30.0
_RECONNECT_SECONDS = 0.05


class Tab:
    """What a tab knows. `replies` maps each exchange's key to the blocks of its answer, in the page's order, and
    `feet` to what stands under it. `chat` is the conversation that it shows; `None`: the one that was spoken in
    last."""

    def __init__(self, url: str, cookie: str = "", chat: str | None = None) -> None:
        self.cookie = cookie
        self.chat = chat
        self.feet: dict[str, dict[str, Any]] = {}
        self.chats: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.said: dict[str, str] = {}
        self.replies: dict[str, list[str]] = {}
        self.final: set[str] = set()
        self.frames: list[dict[str, Any]] = []
        self.limit = 0
        self.closed_with: list[int] = []
        self._url = url
        self._socket: ClientConnection | None = None
        self._pending: dict[str, str] = {}
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                async with self._connected() as socket:
                    while True:
                        await self._receive(socket, json.loads(await socket.recv()))
            except ConnectionClosed as exc:
                await self._note_close(exc)
            except (InvalidHandshake, OSError):
                pass  # nobody is there yet
            finally:
                self._socket = None
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _note_close(self, exc: ConnectionClosed) -> None:
        self.closed_with.append(exc.rcvd.code if exc.rcvd else 0)
        async with self._changed:
            self._changed.notify_all()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[ClientConnection]:
        asked = "" if self.chat is None else f"?c={self.chat}"
        url = f"{self._url.replace('http', 'ws', 1)}/chat{asked}"
        headers = {"Cookie": self.cookie} if self.cookie else {}
        async with connect(url, origin=self._url, additional_headers=headers) as socket:  # type: ignore[arg-type]
            assert socket.response is not None
            jar = SimpleCookie(socket.response.headers.get("Set-Cookie", ""))
            self.cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items()) or self.cookie
            yield socket

    async def _receive(self, socket: ClientConnection, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        match frame["type"]:
            case "history":
                self._socket, self.limit, self.chat = socket, frame["limit"], frame["chat"]
                self.said, self.replies, self.feet, self.final = {}, {}, {}, set()
                for line in frame["lines"]:
                    if line["role"] == "user":
                        self.said[line["key"]] = line["text"]
                    else:
                        self.replies[line["key"]] = line["blocks"]
                        self.feet[line["key"]] = line["foot"]
                        self.final.add(line["key"])
                for data in self._pending.values():
                    await socket.send(data)
            case "taken" | "refused":
                self._pending.pop(frame["id"], None)
            case "drawn":
                before = self.replies.get(frame["key"], [])[: frame["keep"]]
                assert len(before) == frame["keep"], "blocks are kept that were never drawn"
                self.replies[frame["key"]] = before + frame["blocks"]
                self.final.discard(frame["key"])
                if frame["final"]:
                    self.final.add(frame["key"])
                    self.feet[frame["key"]] = frame["foot"]
            case "chats":
                self.chats = frame["items"]
            case "told":
                self.told.append(frame["text"])
        async with self._changed:
            self._changed.notify_all()

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until `met`; a failure names what stands on the page."""
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._changed:
                await self._changed.wait_for(met)
        except TimeoutError:
            raise AssertionError(f"never met; the page shows {self.texts()}") from None

    async def send(self, frame: object) -> None:
        """Send a frame as it is, once connected."""
        await self.until(lambda: self._socket is not None)
        assert self._socket is not None
        await self._socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def say(self, text: str, message: str = "", files: Sequence[object] = ()) -> dict[str, Any]:
        """Send a message, again after each lost connection, and return the answer to it (`taken` or `refused`)."""
        return await self.ask({"type": "say", "text": text, "files": files}, message)

    async def act(self, on: str, action: str) -> dict[str, Any]:
        """Press that under the answer to `on`."""
        return await self.ask({"type": "act", "on": on, "action": action})

    async def edit(self, on: str, text: str) -> dict[str, Any]:
        return await self.ask({"type": "edit", "on": on, "text": text})

    async def ask(self, frame: Mapping[str, object], message: str = "") -> dict[str, Any]:
        """As `say`, for any frame that is answered."""
        message = message or uuid.uuid4().hex
        known = len(self.frames)
        self._pending[message] = json.dumps({**frame, "id": message})
        if self._socket is not None:
            with suppress(ConnectionClosed):
                await self._socket.send(self._pending[message])

        def answers() -> list[dict[str, Any]]:
            return [frame for frame in self.frames[known:] if frame.get("id") == message]

        await self.until(lambda: bool(answers()))
        return answers()[0]

    async def stop(self) -> None:
        await self.send({"type": "stop", "id": uuid.uuid4().hex})

    def texts(self) -> list[str]:
        """The answers as a person reads them."""
        return [read(blocks) for blocks in self.replies.values()]

    async def until_answered(self, *texts: str) -> None:
        await self.until(lambda: self.texts() == list(texts) and self.final >= self.replies.keys())


@asynccontextmanager
async def open_tab(
    url: str, cookie: str = "", chat: str | None = None, *, connected: bool = True
) -> AsyncIterator[Tab]:
    """A tab, connected unless that may take a while; `cookie` is the one of another tab of the same browser."""
    tab = Tab(url, cookie, chat)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(tab.run())
        try:
            if connected:
                await tab.until(lambda: tab.limit > 0)
            yield tab
        finally:
            task.cancel()


def read(blocks: list[str]) -> str:
    """The text of blocks of HTML."""
    return "\n\n".join(_Text.of(html) for html in blocks)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    @classmethod
    def of(cls, html: str) -> str:
        parser = cls()
        parser.feed(html)
        parser.close()
        return parser.text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        self.text += data
