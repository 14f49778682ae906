"""Clients that keep the server waiting, over real sockets."""

import asyncio
import itertools
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bots.http.patience import Patience
from bots.http.server import serve

closed = asyncio.Event()


async def endless(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            for _ in itertools.count():
                yield b"x" * 65536
                await asyncio.sleep(0)  # uvicorn takes what is sent to a closed connection at once
        finally:
            closed.set()

    closed.clear()
    return StreamingResponse(pieces())


async def echo(request: Request) -> Response:
    return Response(await request.body())


@asynccontextmanager
async def serving(patience: Patience) -> AsyncIterator[str]:
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    routes = [Route("/", endless), Route("/echo", echo, methods=["POST"])]
    async with asyncio.TaskGroup() as group:
        served = serve(routes, "127.0.0.1", 0, ready=url.set_result, patience=patience)
        task = group.create_task(served)
        try:
            yield await url
        finally:
            task.cancel()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ended(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(20):
        try:
            while await reader.read(1024):
                pass
        except ConnectionResetError:
            pass


async def test_connection_that_says_nothing_is_closed() -> None:
    async with serving(Patience(head_seconds=0.1)) as url, connected(url) as (reader, _):
        await ended(reader)


async def test_request_that_comes_byte_by_byte_is_closed_also_after_a_first_one() -> None:
    async with serving(Patience(head_seconds=0.3)) as url, connected(url) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")

        async def drip() -> None:
            while True:
                writer.write(b"G")
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            dripping = group.create_task(drip())
            await ended(reader)
            dripping.cancel()


async def test_body_that_does_not_come_is_refused() -> None:
    async with serving(Patience(body_seconds=0.2)) as url, connected(url) as (reader, writer):
        writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell")
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        await reader.read()  # it is closed


async def test_reader_that_does_not_read_is_closed() -> None:
    async with serving(Patience(read_seconds=0.1)) as url, connected(url) as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        async with asyncio.timeout(20):
            await closed.wait()


@pytest.fixture
def many_files() -> Iterator[int]:
    """As many as this process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.timeout(180)
async def test_ten_thousand_silent_sockets_keep_nobody_out(many_files: int) -> None:
    patience = Patience(most=200)
    async with serving(patience) as url:
        silent = await asyncio.to_thread(_open, min(10_000, many_files - 1000), url)
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(f"{url}/healthz")).text == "ok"
            assert len(patience.silent) <= 200
        finally:
            for each in silent:
                each.close()


def _open(count: int, url: str) -> list[socket.socket]:
    parts = urlsplit(url)
    return [socket.create_connection((str(parts.hostname), int(parts.port or 0))) for _ in range(count)]


async def test_request_under_way_is_never_the_one_that_goes() -> None:
    patience = Patience(most=2)
    async with serving(patience) as url, connected(url) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        async with AsyncExitStack() as sockets:
            others = [await sockets.enter_async_context(connected(url)) for _ in range(5)]
            await ended(others[0][0])
            assert await reader.readexactly(100_000)
