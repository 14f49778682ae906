"""A way to a Redis server on which requests and answers get lost.

Whoever loses a request or an answer sees the same: a connection that is cut. In the one case the server has done
nothing, in the other case all of it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from core.store.scripts import Script, ScriptName


class Lossy:
    """Cuts the connection on which an armed step is sent: before the server has it, or when its answer comes."""

    def __init__(self, url: str) -> None:
        self.url = url  # of the server to which new connections lead
        self._armed: bytes | None = None
        self._loses: Literal["request", "answer"] = "answer"
        self._held: bytes | None = None
        self._holds_requests = False
        self._holds = asyncio.Event()
        self._may_pass = asyncio.Event()
        self._open = 0
        self._closed = asyncio.Event()
        self.lost = 0

    def lose_request_of(self, name: ScriptName) -> None:
        """The next request for this step gets lost, once."""
        self._armed, self._loses = Script.load(name).digest.encode(), "request"

    def lose_answer_of(self, name: ScriptName) -> None:
        """The next answer to this step gets lost, once."""
        self._armed, self._loses = Script.load(name).digest.encode(), "answer"

    def lose_answer_to(self, command: str) -> None:
        """The next answer to a plain command gets lost, once."""
        self._armed, self._loses = f"\r\n{command}\r\n".encode(), "answer"

    def lose_nothing(self) -> None:
        """What was to be lost, and did not come by, is not lost."""
        self._armed = None

    @asynccontextmanager
    async def holding(
        self, name: ScriptName, what: Literal["request", "answer"] = "answer"
    ) -> AsyncIterator[asyncio.Event]:
        """While the block lasts no answer to this step comes through, or no request for it; such requests never
        do. Yields what is set when one is held."""
        self._held, self._holds_requests = Script.load(name).digest.encode(), what == "request"
        self._may_pass.clear()
        self._holds = asyncio.Event()
        try:
            yield self._holds
        finally:
            self._held = None
            self._may_pass.set()

    async def all_closed(self) -> None:
        while self._open:
            self._closed.clear()
            await self._closed.wait()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            return await asyncio.open_unix_connection(parts.path)
        return await asyncio.open_connection(parts.hostname, parts.port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        up_reader, up_writer = await self._connect()
        doomed, held = asyncio.Event(), asyncio.Event()

        async def requests() -> None:
            while data := await reader.read(1 << 20):
                if self._armed is not None and self._armed in data:
                    self._armed = None
                    if self._loses == "request":
                        self.lost += 1
                        break
                    doomed.set()
                if self._held is not None and self._held in data:
                    if self._holds_requests:
                        self._holds.set()
                        await self._may_pass.wait()
                        break
                    held.set()
                up_writer.write(data)
            up_writer.close()

        async def answers() -> None:
            while data := await up_reader.read(1 << 20):
                if doomed.is_set():
                    self.lost += 1
                    break
                if held.is_set():
                    self._holds.set()
                    await self._may_pass.wait()
                writer.write(data)
            writer.close()

        with suppress(ConnectionError):
            await asyncio.gather(requests(), answers())
        for end in (writer, up_writer):
            end.close()
            with suppress(ConnectionError):
                await end.wait_closed()
        self._open -= 1
        self._closed.set()


@asynccontextmanager
async def lossy(folder: Path, url: str) -> AsyncIterator[tuple[Lossy, str]]:
    """A lossy way to the server at `url`, and its own URL."""
    way = Lossy(url)
    path = folder / "lossy.sock"
    server = await asyncio.start_unix_server(way.serve, path)
    try:
        yield way, f"unix://{path}"
    finally:
        server.close()
        await way.all_closed()
