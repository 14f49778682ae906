"""A way to a Redis server on which answers get lost: the server has done it, and the client does not know."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from core.store.scripts import Script, ScriptName


class Lossy:
    """Cuts the connection on which an armed step was sent, when its answer comes."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._armed: bytes | None = None
        self._open = 0
        self._closed = asyncio.Event()
        self.lost = 0

    def lose_answer_of(self, name: ScriptName) -> None:
        """The next answer to this step gets lost, once."""
        self._armed = Script.load(name).digest.encode()

    async def all_closed(self) -> None:
        while self._open:
            self._closed.clear()
            await self._closed.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        up_reader, up_writer = await asyncio.open_unix_connection(self._server)
        doomed = asyncio.Event()

        async def requests() -> None:
            while data := await reader.read(1 << 20):
                if self._armed is not None and self._armed in data:
                    self._armed = None
                    doomed.set()
                up_writer.write(data)
            up_writer.close()

        async def answers() -> None:
            while data := await up_reader.read(1 << 20):
                if doomed.is_set():
                    self.lost += 1
                    break
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
    way = Lossy(url.removeprefix("unix://"))
    path = folder / "lossy.sock"
    server = await asyncio.start_unix_server(way.serve, path)
    try:
        yield way, f"unix://{path}"
    finally:
        server.close()
        await way.all_closed()
